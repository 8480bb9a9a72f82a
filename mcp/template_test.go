package mcp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		template string
		yes, no  []string
	}{
		{"x:a", []string{"x:a"}, []string{"", "x:", "x:ab", "X:a"}},
		{"x:{id}", []string{"x:1", "x:a b", "x:é", "x:%2F", "x:a,b", "x:"}, []string{"x", "x:a/b", "x:a?b", "x:a#b", "y:1"}},
		{"x:{id}/data", []string{"x:123/data", "x:/data"}, []string{"x:123", "x:1/2/data", "x:1/data/"}},
		{"x:{a}-{b}-c", []string{"x:1-2-c", "x:1-2-3-c", "x:--c"}, []string{"x:1-c-d", "x:-c"}},
		{"file:///{+path}", []string{"file:///etc/passwd", "file:///a?b#c", "file:///"}, []string{"file://x"}},
		{"x:{path*}", []string{"x:a/b/c"}, nil},
		{"x:a{/b,c}", []string{"x:a", "x:a/1", "x:a/1/2"}, []string{"x:ab"}},
		{"x:a{?q,r}", []string{"x:a", "x:a?q=1&r=/2"}, []string{"x:a/1", "x:aq=1"}},
		{"x:a?f=1{&q}", []string{"x:a?f=1", "x:a?f=1&q=2"}, []string{"x:a?f=12"}},
		{"x:a{#f}", []string{"x:a", "x:a#b/c"}, []string{"x:a/c"}},
		{"x:a{.e}", []string{"x:a", "x:a.txt"}, []string{"x:a.t/x", "x:ab"}},
		{"x:a{;p}", []string{"x:a;p=1"}, []string{"x:ap"}},
		{"{s}:{h}", []string{"http:x"}, []string{"http", "http:/x"}},
		{"é{x}ü", []string{"éaü", "éü"}, []string{"éa"}},
		// Not templates: nothing fits them.
		{"", nil, []string{""}},
		{"x:{", nil, []string{"x:{", "x:"}},
		{"x:}", nil, []string{"x:}"}},
		{"x:{}", nil, []string{"x:", "x:{}"}},
		{"x:{+}", nil, []string{"x:1"}},
		{"x:{a{b}}", nil, []string{"x:1", "x:1}"}},
	} {
		for _, uri := range c.yes {
			if !mcp.Fits(c.template, uri) {
				t.Errorf("%s does not fit %s", uri, c.template)
			}
		}
		for _, uri := range c.no {
			if mcp.Fits(c.template, uri) {
				t.Errorf("%s fits %s", uri, c.template)
			}
		}
	}
}

// nasty are templates and uris that cost a careless matcher much.
var nasty = [][2]string{
	{strings.Repeat("{a}", 600), strings.Repeat("a", 2048)},
	{strings.Repeat("{+a}a", 400), strings.Repeat("a", 2047) + "b"},
	{strings.Repeat("{a:9999}", 256), strings.Repeat("a", 2048)},
	{"{+a}" + strings.Repeat("a", 2000) + "b", strings.Repeat("a", 2048)},
	{strings.Repeat("{", 2048), strings.Repeat("{", 2048)},
	{"x:{" + strings.Repeat("a,", 1000) + "a*}", "x:" + strings.Repeat("b,", 1000)},
}

// TestNastyTemplates: ten thousand of the worst take a bounded time, all in all.
func TestNastyTemplates(t *testing.T) {
	for i, n := range nasty {
		start := time.Now()
		spent := mcp.FitsAny(n[0], 10_000, n[1])
		t.Logf("%d: %v, %d steps", i, time.Since(start), spent)
		if spent > mcp.MaxMatching+1<<20 {
			t.Errorf("%.40s…: %d steps", n[0], spent)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, n := range nasty {
		f.Add(n[0], n[1])
	}
	for _, s := range [][2]string{{"x:{id}", "x:1"}, {"file:///{+p}{?q}", "file:///a/b?q"}, {"{#a}{.b}{;c}{&d}{/e*}", "#a.b;c&d/e"}, {"x:é{é}", "x:éé"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, template, uri string) {
		if len(uri) > 2048 {
			uri = uri[:2048]
		}
		if spent := mcp.FitsAny(template, 2, uri); spent > mcp.MaxMatching+(len(template)+1)*(len(uri)+1) {
			t.Errorf("%d steps", spent)
		}
		if !strings.ContainsAny(template, "{}") && template != "" && mcp.Fits(template, uri) != (template == uri) {
			t.Errorf("without expressions, %q fits %q: %v", uri, template, mcp.Fits(template, uri))
		}
		// What any expression can be, fits.
		for _, expansion := range []string{"", "v"} {
			plain := strings.NewReplacer("{", "", "}", "").Replace(template)
			if mcp.IsTemplate(plain+"{x}") && !mcp.Fits(plain+"{x}", plain+expansion) {
				t.Errorf("%q does not fit %q", plain+expansion, plain+"{x}")
			}
		}
	})
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{`{"type":"ref/prompt","name":"p"}`, `{"type":"ref/resource","uri":"x:{id}"}`, `{}`, `[]`, `null`, `{"type":1,"name":{}}`,
		`{"type":"ref/prompt","name":"a","name":"b"}`, `{"TYPE":"ref/prompt","type":"ref/resource","uri":"\u0000"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		kind, name := mcp.RefTarget([]byte(ref))
		if name != "" && kind != "prompt" && kind != "template" {
			t.Errorf("%s: %s %s", ref, kind, name)
		}
	})
}
