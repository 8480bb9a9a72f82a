package main

import (
	"fmt"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// effectRows are a dry run for people: a line for each thing that comes (+) and
// goes (-), and for each group of recorded requests.
func effectRows(k wire.Key, e wire.Effects) []row {
	rows := []row{{fmt.Sprintf("%s: nothing would change", k.Handle)}}
	if len(e.Fields) > 0 {
		rows = []row{{fmt.Sprintf("%s: would change %s", k.Handle, strings.Join(e.Fields, ", "))}}
	}
	section := func(title string, lines []row) {
		rows = append(rows, row{title})
		rows = append(rows, lines...)
	}
	section(fmt.Sprintf("added: %d", len(e.Added)), offerRows("+", e.Added))
	section(fmt.Sprintf("removed: %d", len(e.Removed)), offerRows("-", e.Removed))
	if e.Children > 0 {
		section(fmt.Sprintf("keys below it that gain or lose something: %d", e.Children), nil)
	}
	if e.Partial {
		section("only of what the asking key may use: all of it takes view:audit or view:instances", nil)
	}
	if e.Denied == nil || e.Allowed == nil {
		section("recorded calls were not looked at: that takes view:audit", nil)
		return rows
	}
	if e.Days > 0 {
		section(fmt.Sprintf("newly denied, of the calls recorded in %d days: %d", e.Days, requests(*e.Denied)), usageRows("-", k, *e.Denied))
		section(fmt.Sprintf("newly allowed, of the calls recorded in %d days: %d", e.Days, requests(*e.Allowed)), usageRows("+", k, *e.Allowed))
	}
	if n := orZero(e.Unjudged); n > 0 {
		section(fmt.Sprintf("recorded calls of what is not on offer now, not judged: %d", n), nil)
	}
	if e.Truncated {
		section("there is more than is shown", nil)
	}
	return rows
}

func offerRows(mark string, list []wire.OfferEffect) []row {
	rows := make([]row, len(list))
	for i, o := range list {
		rows[i] = row{mark + " " + o.Name, o.Kind, o.Effect, o.Category, strings.Join(o.Failed, ", ")}
	}
	return rows
}

func requests(list []wire.UsageEffect) (n int) {
	for _, u := range list {
		n += u.Count
	}
	return n
}

// usageRows name the key where it is one below the changed one.
func usageRows(mark string, k wire.Key, list []wire.UsageEffect) []row {
	rows := make([]row, len(list))
	for i, u := range list {
		rows[i] = row{mark + " " + u.Tool, u.Kind, fmt.Sprintf("%d, last %s", u.Count, when(&u.LastAt)), strings.Join(u.Failed, ", ")}
		if u.KeyID != k.ID {
			rows[i] = append(rows[i], "by "+u.Handle)
		}
	}
	return rows
}

func orZero(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
