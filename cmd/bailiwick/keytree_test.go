package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

var treeNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// treeKey is a key of a test's tree: "id <parent", changed by the other words
// (revoked, disabled, paused, confined, or a duration in which it expires).
func treeKey(t *testing.T, text string) wire.Key {
	t.Helper()
	words := strings.Fields(text)
	k := wire.Key{ID: "id-" + words[0], Handle: words[0], Name: "N", Enabled: true}
	k.MCPActive = true
	for _, word := range words[1:] {
		switch parent, below := strings.CutPrefix(word, "<"); {
		case below:
			parent = "id-" + parent
			k.ParentKeyID = &parent
		case word == "revoked":
			k.RevokedAt = &treeNow
		case word == "disabled":
			k.Enabled = false
		case word == "paused":
			k.MCPActive = false
		case word == "confined":
			k.ProjectID = &words[0]
		default:
			d, err := time.ParseDuration(word)
			if err != nil {
				t.Fatal(err)
			}
			at := treeNow.Add(d)
			k.ExpiresAt = &at
		}
	}
	return k
}

func TestKeyTree(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		key  string // "" = all
		all  bool   // revoked ones too
		want []string
	}{
		"none": {},
		"flat": {keys: []string{"b", "a"}, want: []string{"b|active|never", "a|active|never"}},
		"nested, oldest first": {
			keys: []string{"a", "b", "a1 <a 59m", "b1 <b", "a2 <a", "a11 <a1 30m", "a12 <a1 50h"},
			want: []string{
				"a|active|never", "├── a1|active|in 59m", "│   ├── a11|active|in 30m", "│   └── a12|active|in 59m with a1", "└── a2|active|never",
				"b|active|never", "└── b1|active|never",
			}},
		"children before their parent": {keys: []string{"a1 <a", "a"}, want: []string{"a|active|never", "└── a1|active|never"}},
		"own states": {
			keys: []string{"p paused", "d disabled", "e -3h", "r revoked", "dp disabled paused"}, all: true,
			want: []string{"p|paused|never", "d|disabled|never", "e|expired|3h ago", "r|revoked|never", "dp|disabled|never"}},
		"a dead key ends what is below it": {
			keys: []string{"a revoked", "b <a", "c <b -1m", "d <c", "e <c paused", "f <d"},
			want: []string{"a|revoked|never", "└── b|ended by a (revoked)|never", "    └── c|expired, ended by a (revoked)|1m ago",
				"        ├── d|ended by c (expired)|1m ago with c", "        │   └── f|ended by c (expired)|1m ago with c",
				"        └── e|paused, ended by c (expired)|1m ago with c"}},
		"disabled": {keys: []string{"a disabled", "b <a"}, want: []string{"a|disabled|never", "└── b|ended by a (disabled)|never"}},
		"a pause is handed down": {
			keys: []string{"a paused", "b <a", "c <b"},
			want: []string{"a|paused|never", "└── b|paused by a|never", "    └── c|paused by a|never"}},
		"the first expiry counts": {
			keys: []string{"a 10m", "b <a 20m", "c <b 5m"},
			want: []string{"a|active|in 10m", "└── b|active|in 10m with a", "    └── c|active|in 5m"}},
		"revoked ones without others below": {
			keys: []string{"a revoked", "b", "b1 <b revoked", "b2 <b1 revoked", "c revoked", "c1 <c revoked", "c2 <c"},
			want: []string{"b|active|never", "c|revoked|never", "└── c2|ended by c (revoked)|never"}},
		"revoked ones too": {
			keys: []string{"b", "b1 <b revoked"}, all: true, want: []string{"b|active|never", "└── b1|revoked|never"}},
		"orphans come first": {
			keys: []string{"a", "o <gone", "o1 <o"},
			want: []string{"o|orphan: ended with parent id-gone, which is purged|never", "└── o1|ended by id-gone (purged)|never", "a|active|never"}},
		"a dead orphan": {keys: []string{"o <gone -1h"}, want: []string{"o|expired, orphan: ended with parent id-gone, which is purged|1h ago"}},
		"of what a confined key is shown": {
			keys: []string{"o <gone confined", "o1 <o confined"},
			want: []string{"o|active, orphan: parent id-gone is purged, or not shown to this key|never", "└── o1|active|never"}},
		"its own parent": {keys: []string{"a <a", "b"}, want: []string{"a|orphan: ended with parent id-a, which is purged|never", "b|active|never"}},
		"a loop, and what hangs on it": {
			keys: []string{"x <c", "a <c", "b <a", "c <b", "d"},
			want: []string{"c|orphan: ended with parent id-b, which is purged|never", "├── x|ended by id-b (purged)|never",
				"└── a|ended by id-b (purged)|never", "    └── b|ended by id-b (purged)|never", "d|active|never"}},
		"one with its path": {
			keys: []string{"a", "b <a 2h", "other <a", "c <b", "sibling <b", "c1 <c", "c2 <c", "c11 <c1"}, key: "c",
			want: []string{"a|active|never", "└── b|active|in 2h", "    └── c|active|in 2h with b", "        ├── c1|active|in 2h with b",
				"        │   └── c11|active|in 2h with b", "        └── c2|active|in 2h with b"}},
		"one at the top":           {keys: []string{"a", "a1 <a", "b"}, key: "id-a", want: []string{"a|active|never", "└── a1|active|never"}},
		"a revoked one, by its id": {keys: []string{"a revoked", "a1 <a revoked"}, key: "id-a1", want: []string{"a|revoked|never", "└── a1|revoked, ended by a (revoked)|never"}},
		"an id goes before a handle": {
			keys: []string{"id-b", "b"}, key: "id-b", want: []string{"b|active|never"}},
	} {
		t.Run(name, func(t *testing.T) {
			list := make([]wire.Key, len(c.keys))
			for i, text := range c.keys {
				list[i] = treeKey(t, text)
			}
			forest, ok := forestOf(list, c.key, c.all, treeNow)
			if !ok {
				t.Fatal("not found")
			}
			var got []string
			for _, r := range forest.rows(treeNow) {
				got = append(got, r[0]+"|"+r[2]+"|"+r[3])
			}
			if a, b := strings.Join(got, "\n"), strings.Join(c.want, "\n"); a != b {
				t.Errorf("got\n%s\nwant\n%s", a, b)
			}
			if want := len(c.want) - len(forest.Path); forest.Total != want {
				t.Errorf("total %d, want %d", forest.Total, want)
			}
			if _, err := json.Marshal(forest); err != nil { // which loops would not let it
				t.Error(err)
			}
		})
	}
}

func TestKeyTreeFindsNone(t *testing.T) {
	for _, name := range []string{"nobody", "gone", ""} {
		if _, ok := forestOf([]wire.Key{treeKey(t, "a"), treeKey(t, "gone revoked")}, name, true, treeNow); ok != (name == "") {
			t.Errorf("%q: %v", name, ok)
		}
	}
}

func TestUntilText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "in 1s", 59*time.Second + time.Second/2: "in 59s", time.Minute: "in 1m", time.Hour - 1: "in 1h", 10*time.Minute - time.Second: "in 10m", 48*time.Hour - time.Second: "in 2d", time.Hour: "in 1h",
		time.Hour + time.Second: "in 1h", 47*time.Hour + 59*time.Minute: "in 47h 59m", 48 * time.Hour: "in 2d", 30 * 24 * time.Hour: "in 30d",
		104 * 365 * 24 * time.Hour: "in 104y", 0: "0s ago", -90 * time.Minute: "1h 30m ago", -72 * time.Hour: "3d ago",
	} {
		at := treeNow.Add(d)
		if got := untilText(&at, treeNow); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	if got := untilText(nil, treeNow); got != "never" {
		t.Error(got)
	}
}
