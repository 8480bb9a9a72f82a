package keystest

import (
	"fmt"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// found are the handles of a page, in order, and the total.
func (b *bench) found(tenantID string, q keys.KeyQuery) string {
	b.Helper()
	handles, total := []string{}, 0
	b.read(func(r keys.Reader) error {
		list, n, err := r.Keys(b.ctx, tenantID, q)
		for _, k := range list {
			handles = append(handles, k.Handle)
		}
		total = n
		return err
	})
	return fmt.Sprintf("%s of %d", strings.Join(handles, " "), total)
}

var searchTests = []contractTest{
	{"oldest first, without the revoked", func(b *bench) {
		b.key(b.acme, "third", func(k *keys.Key) { k.CreatedAt = *at(time.Microsecond) })
		b.key(b.acme, "first", func(k *keys.Key) { k.CreatedAt = *at(-time.Hour) })
		b.key(b.acme, "second", func(k *keys.Key) { k.CreatedAt = *at(0) })
		b.key(b.acme, "expired", func(k *keys.Key) { k.CreatedAt, k.ExpiresAt = *at(time.Hour), &begin })
		b.key(b.acme, "revoked", func(k *keys.Key) { k.CreatedAt, k.RevokedAt = *at(-2 * time.Hour), &begin })
		b.key(b.other, "foreign", func(k *keys.Key) { k.CreatedAt = *at(2 * time.Hour) })
		b.equal("own", b.found(b.acme, keys.KeyQuery{}), "first second third expired of 4")
		b.equal("with revoked", b.found(b.acme, keys.KeyQuery{IncludeRevoked: true}), "revoked first second third expired of 5")
		b.equal("of all tenants", b.found("", keys.KeyQuery{}), "first second third expired foreign of 5")
	}},
	{"same age: by id", func(b *bench) {
		for _, handle := range []string{"a", "b", "c"} {
			b.key(b.acme, handle)
		}
		b.equal("found", b.found(b.acme, keys.KeyQuery{}), "a b c of 3")
	}},
	{"search", func(b *bench) {
		n := time.Duration(0)
		add := func(handle, name, prefix string) {
			n++
			b.key(b.acme, handle, func(k *keys.Key) { k.Name, k.Prefix, k.CreatedAt = name, prefix, *at(n * time.Second) })
		}
		add("ci-bot", "Build Server", "bwk_live_AbCd")
		add("percent", "100% sure", "old_x")
		add("under_score", "ÄRGER & Co!", "bwk_live_0000")
		add("quote", `it's a "back\slash"`, "")
		for query, want := range map[string]string{
			"":          "ci-bot percent under_score quote of 4",
			"BUILD":     "ci-bot of 1",
			"i-BOT":     "ci-bot of 1",
			"live_abcd": "ci-bot of 1",
			"%":         "percent of 1",
			"0% S":      "percent of 1",
			"_":         "ci-bot percent under_score of 3",
			"r_s":       "under_score of 1",
			"rXs":       " of 0",
			"ärger":     "under_score of 1",
			"!":         "under_score of 1",
			"'":         "quote of 1",
			`\`:         "quote of 1",
			`\s`:        "quote of 1",
			`"`:         "quote of 1",
			"*":         " of 0",
			"serverci":  " of 0", // not across two fields
			"\x1f":      " of 0",
			"nul\x00":   " of 0",
			"\xff":      " of 0",
		} {
			b.equal(fmt.Sprintf("%q", query), b.found(b.acme, keys.KeyQuery{Search: query}), want)
		}
		b.equal("of another tenant", b.found(b.other, keys.KeyQuery{Search: "build"}), " of 0")
	}},
	{"search and pages over all tenants", func(b *bench) {
		n := time.Duration(0)
		for _, name := range []string{"100%", "r_s", "rxs"} {
			for _, tenantID := range []string{b.other, b.acme} {
				n++
				b.key(tenantID, fmt.Sprintf("k%d", n), func(k *keys.Key) { k.Name, k.CreatedAt = name, *at(n * time.Second) })
			}
		}
		for query, want := range map[string]string{"%": "k1 k2 of 2", "R_S": "k3 k4 of 2", "_": "k3 k4 of 2", "rx": "k5 k6 of 2", "%%": " of 0"} {
			b.equal(fmt.Sprintf("%q", query), b.found("", keys.KeyQuery{Search: query}), want)
		}
		b.equal("a page", b.found("", keys.KeyQuery{Limit: 3, Offset: 2}), "k3 k4 k5 of 6")
		b.equal("a page of a search", b.found("", keys.KeyQuery{Search: "r", Limit: 2, Offset: 3}), "k6 of 4")
	}},
	{"search follows a changed name", func(b *bench) {
		k := b.key(b.acme, "h", func(k *keys.Key) { k.Name = "before" })
		k.Name, k.Handle = "after", "ignored"
		b.edit(func(w keys.Writer) error { return w.UpdateKey(b.ctx, &k) })
		for query, want := range map[string]string{"before": " of 0", "after": "h of 1", "ignored": " of 0", "h": "h of 1"} {
			b.equal(query, b.found(b.acme, keys.KeyQuery{Search: query}), want)
		}
	}},
	{"by parent and project", func(b *bench) {
		parent := b.key(b.acme, "parent")
		p := newID()
		b.key(b.acme, "child", func(k *keys.Key) { k.ParentKeyID = parent.ID })
		b.key(b.acme, "both", func(k *keys.Key) { k.ParentKeyID, k.ProjectID = parent.ID, p })
		b.equal("children", b.found(b.acme, keys.KeyQuery{ParentKeyID: parent.ID}), "child both of 2")
		b.equal("of the project", b.found(b.acme, keys.KeyQuery{ProjectID: p}), "both of 1")
		b.equal("all at once", b.found(b.acme, keys.KeyQuery{ProjectID: p, ParentKeyID: parent.ID, Search: "child"}), " of 0")
		b.equal("nowhere", b.found(b.acme, keys.KeyQuery{ParentKeyID: "nul\x00"}), " of 0")
	}},
	{"live ones", func(b *bench) {
		parent := b.key(b.acme, "parent")
		ends := func(handle string, after time.Duration) {
			b.key(b.acme, handle, func(k *keys.Key) { k.ParentKeyID, k.ExpiresAt = parent.ID, at(after) })
		}
		ends("past", -time.Hour)
		ends("now", 0)
		ends("later", time.Microsecond)
		b.key(b.acme, "never", func(k *keys.Key) { k.ParentKeyID, k.CreatedAt = parent.ID, *at(time.Hour) })
		b.key(b.acme, "revoked", func(k *keys.Key) { k.ParentKeyID, k.RevokedAt = parent.ID, &begin })
		q := keys.KeyQuery{ParentKeyID: parent.ID, LiveAt: begin}
		b.equal("live", b.found(b.acme, q), "later never of 2")
		q.IncludeRevoked, q.Limit = true, 1
		b.equal("a page, and no revoked ones", b.found(b.acme, q), "later of 2")
	}},
	{"pages", func(b *bench) {
		for n, handle := range []string{"a", "b", "c", "d", "e"} {
			b.key(b.acme, handle, func(k *keys.Key) { k.CreatedAt = *at(time.Duration(n) * time.Second) })
		}
		for _, page := range []struct {
			limit, offset int
			want          string
		}{
			{0, 0, "a b c d e of 5"}, {2, 0, "a b of 5"}, {2, 2, "c d of 5"}, {2, 4, "e of 5"}, {2, 5, " of 5"},
			{2, 99, " of 5"}, {99, 3, "d e of 5"}, {0, 3, "d e of 5"}, {5, 0, "a b c d e of 5"}, {1, -1, "a of 5"}, {-1, 4, "e of 5"},
		} {
			q := keys.KeyQuery{Limit: page.limit, Offset: page.offset}
			b.equal(fmt.Sprintf("%d from %d", page.limit, page.offset), b.found(b.acme, q), page.want)
		}
	}},
}
