package main

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// A server's answer to an import reads as the local one, faulty lines included.
func TestRemoteImport(t *testing.T) {
	id, handle := "x", "h"
	fine := wire.ImportAnswer{Imported: 1, Results: []wire.ImportLine{{Line: 1, Status: wire.ImportDone, ID: &id, Handle: &handle}}}
	faulty := wire.ImportAnswer{Results: []wire.ImportLine{{Line: 1, Status: wire.ImportNotImported},
		{Line: 2, Status: wire.ImportFaulty, Error: &wire.ImportFault{Code: "invalid", Detail: "what is " + actingToken + "?"}}}}
	shown := wire.ImportAnswer{Results: []wire.ImportLine{{Line: 1, Status: wire.ImportNotImported},
		{Line: 2, Status: wire.ImportFaulty, Error: &wire.ImportFault{Code: "invalid", Detail: "what is [key]?", Errors: nil}}}}
	type problemWith struct {
		wire.Problem
		wire.ImportAnswer
	}
	body := func(v any) string {
		var b bytes.Buffer
		if err := wire.WriteJSON(&b, v); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   wire.ImportAnswer
		err    string
	}{
		{"imported", text(201, "application/json", body(fine)), fine, ""},
		{"faulty", text(422, "application/problem+json", body(problemWith{wire.NewProblem(422, "invalid", "1 of 2 keys"), faulty})), shown, ""},
		{"faulty by a failure", text(500, "application/problem+json", body(problemWith{wire.NewProblem(500, "internal", "something"), faulty})), wire.ImportAnswer{}, "has failed: something"},
		{"too many", problem(wire.NewProblem(422, "invalid", "x", (&keys.InvalidError{}).Fields...)), wire.ImportAnswer{}, "x"},
		{"not allowed", problem(wire.NewProblem(403, "permission_denied", "permission manage:api-keys is needed")), wire.ImportAnswer{}, "permission manage:api-keys is needed"},
		{"an older server", problem(wire.NewProblem(405, "method_not_allowed", "this path answers to GET")), wire.ImportAnswer{}, "refuses the request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked string
			r, _ := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
				data, _ := io.ReadAll(r.Body)
				asked = r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(data)
				tt.answer(w, r)
			})
			got, err := r.Import(t.Context(), []byte("{}\n"))
			if (err != nil) != (tt.err != "") || err != nil && !bytes.Contains([]byte(err.Error()), []byte(tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err == nil {
				for i := range got.Results {
					if f := got.Results[i].Error; f != nil && len(f.Errors) == 0 {
						f.Errors = nil
					}
				}
				if diff := cmp.Diff(tt.want, got.ImportAnswer); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			}
			if asked != "POST /api/api-keys/import/bulk application/x-ndjson {}\n" {
				t.Errorf("asked %q", asked)
			}
		})
	}
}
