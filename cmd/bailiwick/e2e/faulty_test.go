package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// faultyUpstream is a stdio upstream with one fault:
//
//	hang     reads and never answers
//	garbage  answers lines that are no JSON, with its token
//	name     lists a good tool and one whose name the protocol does not allow
//	schema   lists a good tool and one whose schema is no object schema
//	stuck    lists a good tool and never answers a call
//	mangle   lists a good tool and answers a call with half a message
//	...      those of faultyCall
func faultyUpstream(fault string, in io.Reader, out io.Writer) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var request struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(lines.Bytes(), &request) != nil || request.ID == nil || fault == "hang" {
			continue
		}
		if request.Method == "tools/call" && fault == "stuck" {
			continue
		}
		if request.Method == "tools/call" && fault == "mangle" {
			fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{"content":[`+"\n", request.ID)
			continue
		}
		if request.Method == "tools/call" && faultyCall(fault, request.ID, out) {
			continue
		}
		if fault == "garbage" {
			fmt.Fprintf(out, "<html>no JSON-RPC for %s</html>\n", os.Getenv("FAULTY_TOKEN"))
			continue
		}
		fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,%s}`+"\n", request.ID, faultyAnswer(fault, request.Method))
	}
}

func faultyAnswer(fault, method string) string {
	const good = `{"name":"good","inputSchema":{"type":"object"}}`
	switch method {
	case "initialize":
		return `"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"faulty","version":"1"}}`
	case "tools/list":
		switch fault {
		case "stuck", "mangle", "die", "twice", "stray", "flood", "huge", "latin", "slow":
			return `"result":{"tools":[` + good + `]}`
		case "name":
			return `"result":{"tools":[` + good + `,{"name":"bad name\u0000!","inputSchema":{"type":"object"}}]}`
		}
		return `"result":{"tools":[` + good + `,{"name":"odd","inputSchema":{"type":["object",7],"properties":[]}}]}`
	case "tools/call":
		return `"result":{"content":[{"type":"text","text":"from the good tool"}]}`
	}
	return `"error":{"code":-32601,"message":"no such method"}`
}
