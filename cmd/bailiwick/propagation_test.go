package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// A server that did not confirm an edit is warned of, and one that did is not.
func TestUnconfirmedServersAreWarnedOf(t *testing.T) {
	for p, want := range map[wire.Propagation]string{
		{Epoch: 1, Replicas: 3, Applied: 2}: "warning: 1 of 3 servers did not confirm the edit; it refuses requests until it has\n",
		{Epoch: 1, Replicas: 3, Applied: 1}: "warning: 2 of 3 servers did not confirm the edit; they refuse requests until they have\n",
		{Epoch: 1, Replicas: 3, Applied: 3}: "",
		{}:                                  "",
	} {
		var out, errs bytes.Buffer
		c := &cli{out: &out, errs: &errs}
		if err := c.writeEdited(wire.EditedKey{Edited: wire.Edited{Propagation: p}}, &output{format: "json"}); err != nil {
			t.Fatal(err)
		}
		if errs.String() != want || !strings.Contains(out.String(), `"propagation"`) {
			t.Errorf("%+v: %q, %s", p, errs.String(), out.String())
		}
	}
}

// A server says of a revocation how far it came, and of the key how it is now.
func TestRemoteRevocationIsPropagated(t *testing.T) {
	r, _ := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			text(200, "application/json", `{"message":"API key revoked","propagation":{"epoch":7,"replicas":3,"applied":2}}`)(w, r)
			return
		}
		text(200, "application/json", `{"id":"x","revokeReason":"why"}`)(w, r)
	})
	got, err := r.Revoke(t.Context(), "x", wire.RevokeKey{Reason: keys.Some("why")})
	if want := (wire.Propagation{Epoch: 7, Replicas: 3, Applied: 2}); err != nil || got.Propagation != want || got.ID != "x" {
		t.Errorf("%+v, %v", got, err)
	}
}
