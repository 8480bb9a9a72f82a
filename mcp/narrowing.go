package mcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// narrowing is what a session or request gave up by itself.
type narrowing struct {
	session  *policy.Session // compiled; nil = nothing given up
	layers   []policy.Narrowing
	byHeader bool   // a header took part
	source   string // what was asked, to see that a later request asks the same
}

// reaches tells whether an instance's tools are left by the instance filters.
func (n narrowing) reaches(slug string) bool {
	for _, l := range n.layers {
		if !l.Instances.Contains(slug) {
			return false
		}
	}
	return true
}

// with is the narrowing and one more; one that asks the same, or for nothing,
// adds nothing.
func (n narrowing) with(more narrowing) narrowing {
	if n.source == more.source || more.source == unnarrowed.source {
		return n
	}
	return narrowing{
		session:  n.session.With(more.session),
		layers:   append(n.layers[:len(n.layers):len(n.layers)], more.layers...),
		byHeader: n.byHeader || more.byHeader,
		source:   n.source,
	}
}

var (
	narrowingQuery   = []string{"instances", "categories", "readonly"}
	narrowingHeaders = []string{"X-MCP-Tools", "X-MCP-Exclude-Tools", "X-MCP-Toolsets", "X-MCP-Readonly"}
	// narrowingKeys are the same as a Header has them.
	narrowingKeys = []string{"X-Mcp-Tools", "X-Mcp-Exclude-Tools", "X-Mcp-Toolsets", "X-Mcp-Readonly"}
)

// unnarrowed is what nearly every request asks.
var unnarrowed = narrowing{source: sourceOf(nil, nil, ""), layers: []policy.Narrowing{policy.NoNarrowing()}}

func asksToNarrow(header http.Header, rawQuery, path string) bool {
	return rawQuery != "" || path != "" || slices.ContainsFunc(narrowingKeys, func(key string) bool { return len(header[key]) > 0 })
}

// narrowingOf reads what an HTTP request gives up by itself: its query, its
// headers, and the instance that its path names. An empty list means none, an
// unknown name matches nothing. What can't be read is an error, for leaving it
// out would widen.
func narrowingOf(header http.Header, rawQuery, path string) (narrowing, error) {
	if !asksToNarrow(header, rawQuery, path) {
		return unnarrowed, nil
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return narrowing{}, errors.New("the query can't be read")
	}
	for name := range query {
		for _, known := range narrowingQuery {
			if name != known && strings.EqualFold(name, known) {
				return narrowing{}, fmt.Errorf("?%s= must be in lower case", known)
			}
		}
	}
	return narrowed(header, query, path)
}

// narrowed is narrowingOf behind the parsing of the query.
func narrowed(header http.Header, query url.Values, path string) (narrowing, error) {
	n := narrowing{source: sourceOf(header, query, path)}
	if n.source == unnarrowed.source { // a query may have members of others alone
		return unnarrowed, nil
	}
	l, err := limits(header, query)
	if err != nil {
		return narrowing{}, err
	}
	n.layers = []policy.Narrowing{l}
	if path != "" {
		byPath := policy.NoNarrowing()
		byPath.Instances = policy.Only(path)
		n.layers = append(n.layers, byPath)
	}
	for _, name := range narrowingHeaders {
		n.byHeader = n.byHeader || len(header.Values(name)) > 0
	}
	n.session, err = policy.Narrow(n.layers...)
	var bad *policy.PatternError
	switch {
	case errors.As(err, &bad):
		return narrowing{}, fmt.Errorf("X-MCP-Tools or X-MCP-Exclude-Tools: %w", bad)
	case err != nil:
		return narrowing{}, errors.New("the request's own limits can't be read")
	}
	return n, nil
}

func limits(header http.Header, query url.Values) (policy.Narrowing, error) {
	l := policy.NoNarrowing()
	var err error
	for _, in := range []struct {
		where  string
		values []string
		into   *policy.Limit
	}{
		{"?instances=", query["instances"], &l.Instances},
		{"?categories=", query["categories"], &l.Categories},
		{"X-MCP-Tools", header.Values("X-MCP-Tools"), &l.Tools},
		{"X-MCP-Toolsets", header.Values("X-MCP-Toolsets"), &l.Toolsets},
	} {
		if len(in.values) == 0 {
			continue
		}
		list, err := split(in.values)
		if err != nil {
			return l, fmt.Errorf("%s %w", in.where, err)
		}
		*in.into = policy.Only(list...)
	}
	if l.Exclude, err = split(header.Values("X-MCP-Exclude-Tools")); err != nil {
		return l, fmt.Errorf("X-MCP-Exclude-Tools %w", err)
	}
	for _, v := range query["readonly"] {
		on, err := boolean(v)
		if err != nil {
			return l, fmt.Errorf("?readonly= %w", err)
		}
		l.ReadOnly = l.ReadOnly || on
	}
	for _, v := range header.Values("X-MCP-Readonly") {
		on, err := boolean(v)
		if err != nil {
			return l, fmt.Errorf("X-MCP-Readonly %w", err)
		}
		l.ReadOnly = l.ReadOnly || on
	}
	return l, nil
}

// sourceOf writes down what is asked: the path, then the values of each member of
// the query and of each header, all behind their number or length.
func sourceOf(header http.Header, query url.Values, path string) string {
	b := appendText(nil, path)
	add := func(values []string) {
		b = binary.AppendUvarint(b, uint64(len(values)))
		for _, v := range values {
			b = appendText(b, v)
		}
	}
	for _, name := range narrowingQuery {
		add(query[name])
	}
	for _, name := range narrowingHeaders {
		add(header.Values(name))
	}
	return string(b)
}

var errSource = errors.New("not the source of a narrowing")

// narrowingFrom makes the narrowing of a source again, by the same reading of the
// same values, so that it is the same; "" is that of no narrowing.
func narrowingFrom(source string) (narrowing, error) {
	if source == "" {
		return unnarrowed, nil
	}
	path, rest, ok := cutText([]byte(source))
	take := func() (values []string) {
		var n int
		if ok {
			n, rest, ok = cutCount(rest)
		}
		for i := 0; ok && i < n; i++ {
			var v string
			v, rest, ok = cutText(rest)
			values = append(values, v)
		}
		return values
	}
	query, header := url.Values{}, http.Header{}
	for _, name := range narrowingQuery {
		query[name] = take()
	}
	for _, key := range narrowingKeys {
		header[key] = take()
	}
	if !ok || len(rest) > 0 {
		return narrowing{}, errSource
	}
	return narrowed(header, query, path)
}

// split reads comma-separated values; empty ones count for nothing.
func split(values []string) ([]string, error) {
	out := []string{}
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
			if len(out) > policy.MaxPatterns {
				return nil, fmt.Errorf("has more than %d entries", policy.MaxPatterns)
			}
		}
	}
	return out, nil
}

func boolean(v string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errors.New("must be true or false")
}
