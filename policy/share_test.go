package policy_test

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestShare: keys with one allowlist have its texts in memory once, and each list
// says what it said before.
func TestShare(t *testing.T) {
	t.Parallel()
	written := []string{"read_*", "@tools", "a1/x", "read_*", "a1__y", "br[ken", "last"}
	share := func() []string {
		list := make([]string, len(written))
		for i, text := range written {
			list[i] = strings.Clone(text)
		}
		p := policy.Default()
		p.AllowlistMode, p.ToolAllowlist = policy.ModeAllow, list
		policy.Compile(policy.Subject{Policy: p}).Share(list)
		return list
	}
	one, other := share(), share()
	if !slices.Equal(one, written) || !slices.Equal(other, written) {
		t.Errorf("%q and %q, want %q", one, other, written)
	}
	for _, i := range []int{0, 1, 2, 4, 6} {
		if unsafe.StringData(one[i]) != unsafe.StringData(other[i]) {
			t.Errorf("%q is in memory twice", one[i])
		}
	}
}
