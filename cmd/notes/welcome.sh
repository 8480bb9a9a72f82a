#!/usr/bin/env bash
# Passes on what `bailiwick serve` prints, and once it listens shows how to
# connect a client. The argument is the data folder.
set -u
data=${1:-./bailiwick-data}
key=

# An interrupt reaches the server, which drains; this ends when it has.
trap '' INT TERM

show() {
  local url=$1/mcp token=${key:-<your key>}
  cat <<TXT

Claude Code:

  claude mcp add --transport http bailiwick $url --header "Authorization: Bearer $token"

Cursor and others (VS Code calls the outer field "servers"):

  {
    "mcpServers": {
      "bailiwick": {
        "type": "http",
        "url": "$url",
        "headers": { "Authorization": "Bearer $token" }
      }
    }
  }

Claude Desktop, which starts its servers itself:

  {
    "mcpServers": {
      "bailiwick": {
        "command": "$PWD/bin/bailiwick",
        "args": ["stdio", "--url", "$1"],
        "env": { "BAILIWICK_KEY": "$token" }
      }
    }
  }

TXT
  if [ -z "$key" ]; then
    echo "The first key was shown when $data was new. A new secret for it: bin/bailiwick keys rotate first-key --data $data"
    echo "A key that only reads: bin/bailiwick keys create --name mine --data $data"
  fi
  echo "Stop with Ctrl-C."
}

while IFS= read -r line; do
  printf '%s\n' "$line"
  case $line in
    'first key: '*) key=${line#first key: } ;;
    'listening on '*) show "${line#listening on }" ;;
  esac
done
