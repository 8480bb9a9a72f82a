package wire_test

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestAppliedDraftResumesNothing: a draft was as active as its key when it was set; a
// key that was paused since stays so.
func TestAppliedDraftResumesNothing(t *testing.T) {
	for active, want := range map[bool]keys.Opt[bool]{true: {}, false: keys.Some(false)} {
		draft := policy.Default()
		draft.Active = active
		got := wire.ShadowReportOf(keys.ShadowReport{Key: keys.Key{Shadow: &draft}}).Applied()
		if got.MCPActive != want || !got.MCPReadOnly.Set || !got.MCPLimits.Set || !got.MCPShadow.Null {
			t.Errorf("a draft with mcpActive %v: %+v", active, got)
		}
	}
}
