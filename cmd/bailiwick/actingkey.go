package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// maxActingKey bounds what is read of standard input for a key, in bytes.
const maxActingKey = 64 << 10

// actingKey is the key to ask a server as: --key, or else what readKey finds.
func (c *cli) actingKey(flag bool, value, file string) (token keys.Secret, err error) {
	switch {
	case !flag:
		token, err = c.readKey(file)
	case value == "-":
		var data []byte
		data, err = io.ReadAll(io.LimitReader(c.in, maxActingKey))
		token = keys.Secret(strings.TrimSpace(string(data)))
	default:
		fmt.Fprintln(c.errs, "warning: lists of processes show the key in --key; give it with BAILIWICK_KEY, --key-file FILE, or --key - on standard input")
		token = keys.Secret(strings.TrimSpace(value))
	}
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", &usageError{"--key has no key", "give it with BAILIWICK_KEY, --key-file FILE, or --key - on standard input"}
	case strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", withHint(errors.New("the key has spaces or other characters that no key has"), "see that it is one key, and nothing else")
	}
	return token, nil
}
