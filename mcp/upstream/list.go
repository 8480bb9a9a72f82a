package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	maxItems     = 10_000
	maxPages     = 1_000
	maxListBytes = 16 << 20
	maxItemBytes = 1 << 20
	maxSkipped   = 100 // entries of Status.Skipped, of each list
)

// listing collects a list over its pages.
type listing struct {
	kind     Kind
	items    []Item
	skipped  []string
	more     int // left out beyond maxSkipped
	size     int
	seen     map[string]bool // names
	cursors  map[string]bool
	mirrored map[string]*mcpgo.Tool
}

// readLists reads the lists of these kinds. Only tools must be readable: an
// upstream whose prompts or resources fail still has its tools, and what it
// listed of the others before stays.
func (s *session) readLists(ctx context.Context, which kindSet) error {
	which &= s.offers.listed()
	for k := range kinds {
		if !which.has(k) {
			continue
		}
		l, err := s.list(ctx, k)
		switch {
		case err == nil:
			s.lists[k] = l
		case k == KindTool, errors.Is(err, ErrDown), ctx.Err() != nil:
			return err
		default:
			if s.lists[k] == nil {
				s.lists[k] = &listing{kind: k}
			}
			s.lists[k].skipped = []string{printable(err.Error(), 200)}
		}
	}
	return nil
}

// listed are all lists as read last, and what was left out of them.
func (s *session) listed() (lists Lists, skipped []string) {
	lists.Reads = s.offers.Resources != nil
	for k, into := range [kinds]*[]Item{&lists.Tools, &lists.Prompts, &lists.Resources, &lists.Templates} {
		if l := s.lists[k]; l != nil {
			*into = l.items
			skipped = append(skipped, l.skipped...)
		}
	}
	return lists, skipped
}

// list reads all pages of one list. An item that cannot be served is left out
// and named in skipped; so is the rest of a list that is too long.
func (s *session) list(ctx context.Context, kind Kind) (*listing, error) {
	l := &listing{kind: kind, seen: map[string]bool{}, cursors: map[string]bool{}, mirrored: map[string]*mcpgo.Tool{}}
	method := listOf[kind].method
	cursor := ""
	for page := 1; ; page++ {
		params := ""
		if cursor != "" {
			c, _ := json.Marshal(cursor)
			params = `"cursor":` + string(c)
		}
		f, err := s.ask(ctx, method, params)
		if err != nil {
			return nil, step(string(method), err)
		}
		if f.err != nil {
			if f.err.Code == mcpgo.METHOD_NOT_FOUND && page == 1 {
				break // a server without them
			}
			return nil, step(string(method), f.err)
		}
		next, err := l.read(f.result)
		if err != nil {
			return nil, step(string(method), err)
		}
		if next == "" {
			break
		}
		if why := l.full(page, next); why != "" {
			l.skip("(rest of the list)", why)
			break
		}
		cursor = next
	}
	if l.more > 0 {
		l.skipped = append(l.skipped, fmt.Sprintf("(%d more)", l.more))
	}
	if kind == KindTool {
		s.mirrored.Store(&l.mirrored)
	}
	return l, nil
}

// full says why no further page is read, "" when it may be.
func (l *listing) full(page int, next string) string {
	switch {
	case l.cursors[next]:
		return "the cursor repeats"
	case page >= maxPages:
		return fmt.Sprintf("more than %d pages", maxPages)
	case len(l.items) >= maxItems:
		return fmt.Sprintf("more than %d %ss", maxItems, l.kind)
	case l.size >= maxListBytes:
		return fmt.Sprintf("more than %d MiB", maxListBytes>>20)
	}
	l.cursors[next] = true
	return ""
}

// read takes one page.
func (l *listing) read(result json.RawMessage) (next string, err error) {
	var items []byte
	member := listOf[l.kind].member
	err = rawjson.Members(result, func(key string, value []byte) error {
		switch key {
		case member:
			items = value
		case "nextCursor":
			next = rawjson.Text(value)
		}
		return nil
	})
	if err == nil {
		err = rawjson.Elements(items, func(raw []byte) error { l.add(raw); return nil })
	}
	if err != nil {
		return "", fmt.Errorf("%w: the result has no array of %s", ErrGarbage, member)
	}
	return next, nil
}

// add takes one definition, or says why it is left out.
func (l *listing) add(raw []byte) {
	l.size += len(raw)
	name, schema, err := definition(l.kind, raw)
	if err == nil {
		switch {
		case len(raw) > maxItemBytes:
			err = fmt.Errorf("its definition is larger than %d MiB", maxItemBytes>>20)
		case l.seen[name]:
			err = errors.New("there is another " + l.kind.String() + " of this name")
		case len(l.items) >= maxItems:
			err = fmt.Errorf("more than %d %ss", maxItems, l.kind)
		case l.size > maxListBytes:
			err = fmt.Errorf("the list is larger than %d MiB", maxListBytes>>20)
		}
	}
	tool := &mcpgo.Tool{Name: name, RawInputSchema: schema}
	if err == nil && l.kind == KindTool {
		err = mcpgo.ValidateParamHeaderAnnotations(tool)
	}
	if err != nil {
		l.skip(name, err.Error())
		return
	}
	l.seen[name] = true
	l.items = append(l.items, Item{Kind: l.kind, Name: name, Raw: raw})
	if l.kind == KindTool && len(mcpgo.ExtractParamHeaderBindings(tool)) > 0 {
		l.mirrored[name] = tool
	}
}

func (l *listing) skip(name, why string) {
	if len(l.skipped) >= maxSkipped {
		l.more++
		return
	}
	if name == "" {
		name = "(no name)"
	}
	l.skipped = append(l.skipped, printable(name, 128)+": "+printable(why, 200))
}
