package main

import (
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// insideVariable names the stores whose servers started this process, by a
// value that says nothing of their secrets. Upstreams inherit it.
const insideVariable = "BAILIWICK_INSIDE"

// enter refuses a store that is already served above this process: an instance
// whose command is this program on the same store would start itself without
// end.
func (c *cli) enter(svc *keys.Service) error {
	id := hex.EncodeToString(svc.MACKey("nesting")[:8])
	above, _ := c.env(insideVariable)
	if slices.Contains(strings.Fields(above), id) {
		return withHint(errors.New("the server that started this process already serves this store"),
			"an instance on the store that it is itself in would start itself without end: remove it, or name another store")
	}
	return os.Setenv(insideVariable, strings.TrimSpace(above+" "+id))
}
