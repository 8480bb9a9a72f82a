package rest_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

// The document and its page are anyone's, and are sent once.
func TestDocumentIsServed(t *testing.T) {
	h := newHouse(t)
	for path, kind := range map[string]string{"/openapi.json": "application/json", "/docs": "text/html; charset=utf-8"} {
		r := h.do("", "GET", path, "")
		tag := r.header.Get("ETag")
		if r.status != 200 || r.header.Get("Content-Type") != kind || len(tag) < 10 || r.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
		for _, same := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if again := h.do("", "GET", path, "", "If-None-Match", same); again.status != 304 || again.body != "" || again.header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d", path, same, again.status)
			}
		}
		if again := h.do("", "GET", path, "", "If-None-Match", `"x"`); again.status != 200 || again.body != r.body {
			t.Errorf("%s: %d", path, again.status)
		}
		if head := h.do("", "HEAD", path, ""); head.status != 200 || head.body != "" || head.header.Get("Content-Length") == "0" {
			t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
		}
		h.refused(405, "method_not_allowed", h.do("", "POST", path, ""))
		other := rest.New(h.cfg)
		h.api, other = other, h.api
		if again := h.do("", "GET", path, ""); again.body != r.body {
			t.Errorf("%s: another server says something else", path)
		}
		h.api = other
	}
}

// The page needs nothing but itself, runs nothing, and has every operation.
func TestDocsPage(t *testing.T) {
	h := newHouse(t)
	r := h.do("", "GET", "/docs", "")
	if policy := r.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if found := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|\ssrc=|\son[a-z]+=|\sstyle=|url\(|@import|href="[a-z]+:`).FindString(r.body); found != "" {
		t.Errorf("the page has %q", found)
	}
	ids := map[string]bool{}
	for _, id := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(r.body, -1) {
		if ids[id[1]] {
			t.Errorf("the id %s is there twice", id[1])
		}
		ids[id[1]] = true
	}
	targets := regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(r.body, -1)
	for _, target := range targets {
		if !ids[target[1]] {
			t.Errorf("a link leads to #%s, which is not there", target[1])
		}
	}
	if len(targets) < 200 {
		t.Errorf("only %d links", len(targets))
	}
	for path, item := range readDocument(t).Paths {
		for method, op := range item {
			if !ids[op.OperationID] || !strings.Contains(r.body, path) {
				t.Errorf("the page lacks %s %s", method, path)
			}
		}
	}
	if strings.Contains(r.body, "ZgotmplZ") || strings.Contains(r.body, "%!") {
		t.Error("a value was not written")
	}
}
