package mcp_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSubscriptionsOfAKey: a key has so many subscriptions over all its clients, of
// which one that ends gives its place back, and takes none from another key.
func TestSubscriptionsOfAKey(t *testing.T) {
	w := newWorld(t)
	up := subscribable(t, true, "x:r")
	w.mount("a1", up)
	k := w.key()
	var first *watcher
	for i := range 5 {
		uris := make([]string, 1000)
		for j := range uris {
			uris[j] = fmt.Sprintf("x:%d/%d", i, j)
		}
		e, granted := w.watch("modern", k, "/mcp", uris...)
		if len(granted) != len(uris) {
			t.Fatalf("stream %d: %d granted", i, len(granted))
		}
		if first == nil {
			first = e
		}
	}
	c := w.connect(k, "/mcp")
	if a := c.subscribe("x:r"); !strings.Contains(a.body, "-32029") || !strings.Contains(a.body, "5000 resources subscribed to") {
		t.Errorf("one more: %s", a.body)
	}
	if _, granted := w.watch("modern", k, "/mcp", "x:r"); granted != nil {
		t.Errorf("one more was granted: %v", granted)
	}
	if a := w.connect(w.key(), "/mcp").subscribe("x:r"); !strings.Contains(a.body, `"result":{}`) {
		t.Errorf("another key: %s", a.body)
	}
	first.stop()
	w.until("places are free", func() bool { return strings.Contains(c.subscribe("x:r").body, `"result":{}`) })
	for range 3 { // of one that is there already, and of one that ended
		c.subscribe("x:r")
		c.unsubscribe("x:r")
	}
}
