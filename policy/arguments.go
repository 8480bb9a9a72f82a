package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Projects are a tenant's projects: the id of each by its id and by its slug. A
// nil Projects knows none, and no name reaches any.
type Projects map[string]string

// Add adds a project. A name that two projects could be meant by is nobody's.
func (p Projects) Add(id, slug string) {
	for _, name := range []string{id, slug} {
		if other, there := p[name]; there && other != id {
			p[name] = ""
			continue
		}
		p[name] = id
	}
}

// ArgumentDecision is the answer about a call's arguments. The zero
// ArgumentDecision is a denial.
type ArgumentDecision struct {
	decided bool
	judged  bool // there were arguments to look at
	demands []argumentDemand
}

// argumentDemand is what one rule, or one limit of projects, demands of a call.
type argumentDemand struct {
	layer   int
	pointer string
	project bool     // that it names a project of the layer's, else
	allow   []string // that one of these matches it
	problem string   // why it is not met; "" = it is, or nobody looked
}

// DecideArguments answers for the arguments of a call that Decide allows: the raw
// JSON object, nil = absent. Every rule of every layer that names the tool must
// find a string that it allows at its pointer, and so must every layer that limits
// projects at the tool's ProjectPointer: the id or slug of one of its projects.
//
// On the way to a value each name must be there once, and no other that differs
// from it by case alone; what is missing, no string, or no valid text, is denied.
// whoami is for every key.
func (g *Grant) DecideArguments(t *Tool, arguments []byte, projects Projects) ArgumentDecision {
	d := g.argumentDemands(t)
	if !d.decided || len(d.demands) == 0 {
		return d
	}
	d.judged = true
	var tree pointerTree
	for i := range d.demands {
		tree.add(d.demands[i].pointer)
	}
	tree.read(arguments)
	for i := range d.demands {
		need := &d.demands[i]
		var value string
		if value, need.problem = tree.value(need.pointer); need.problem != "" {
			continue
		}
		switch {
		case !need.project:
			need.problem = need.unmatched(value)
		case !g.layers[need.layer].names(projects[value]):
			need.problem = "it names no project that the key is limited to"
		}
	}
	return d
}

// maxMatched is the longest value that patterns are held against, in bytes. It bounds
// the work of one call: as many patterns as a key can have would take minutes over a
// value as long as a message may be.
const maxMatched = 8 << 10

// unmatched says why no pattern matches the value; "" when one does. What * alone
// matches may have any length. That goes by value and pattern alone, whatever other
// patterns there are, so that taking one away never lets a call through.
func (n *argumentDemand) unmatched(value string) string {
	long := len(value) > maxMatched
	if slices.ContainsFunc(n.allow, func(p string) bool { return anything(p) || !long && globMatch(p, value) }) {
		return ""
	}
	if long {
		return fmt.Sprintf("it has more than %d bytes, which nothing but the pattern * matches", maxMatched)
	}
	return "it is another value"
}

// anything tells the pattern *, however many of them it is written with.
func anything(pattern string) bool { return pattern != "" && strings.Trim(pattern, "*") == "" }

// DemandsOfArguments is what calls of the tool must meet, before there are any
// arguments: allowed, and with something to explain where there is a demand.
func (g *Grant) DemandsOfArguments(t *Tool) ArgumentDecision { return g.argumentDemands(t) }

// argumentDemands allocates nothing where nothing is demanded.
func (g *Grant) argumentDemands(t *Tool) ArgumentDecision {
	if g == nil || len(g.layers) == 0 || t == nil {
		return ArgumentDecision{}
	}
	d := ArgumentDecision{decided: true}
	some := false
	for i := range g.layers {
		some = some || g.layers[i].demandsOf(t)
	}
	if !some {
		return d
	}
	v := viewOf(t)
	switch {
	case !v.ok:
		return ArgumentDecision{}
	case v.whoami:
		return d
	}
	for i := range g.layers {
		l := &g.layers[i]
		if l.rules != nil {
			for n := range l.rules.arguments {
				if r := &l.rules.arguments[n]; r.tool.names(&v) {
					d.demands = append(d.demands, argumentDemand{layer: i, pointer: r.Pointer, allow: r.Allow})
				}
			}
		}
		if t.ProjectPointer != "" && l.limitsProjects() {
			d.demands = append(d.demands, argumentDemand{layer: i, pointer: t.ProjectPointer, project: true})
		}
	}
	return d
}

// demandsOf tells whether the layer may demand something of the tool's arguments.
func (l *layer) demandsOf(t *Tool) bool {
	return l.rules != nil && len(l.rules.arguments) > 0 || t.ProjectPointer != "" && l.limitsProjects()
}

// HoldsArguments tells whether the arguments of any call may have to meet something.
func (g *Grant) HoldsArguments() bool {
	return g == nil || slices.ContainsFunc(g.layers, func(l layer) bool {
		return l.rules != nil && len(l.rules.arguments) > 0 || l.limitsProjects()
	})
}

// LimitsProjects tells whether any layer is limited to projects, be they listed or
// the one that a key is confined to.
func (g *Grant) LimitsProjects() bool {
	return g == nil || slices.ContainsFunc(g.layers, func(l layer) bool { return l.limitsProjects() })
}

func (l *layer) limitsProjects() bool { return l.confined != "" || !l.projects.all }

// names tells whether a project, by id, is one of those that the layer is limited to.
func (l *layer) names(id string) bool { return id != "" && l.reachesProject(id) }

// Allowed tells whether every demand was met, or none was made.
func (d ArgumentDecision) Allowed() bool {
	return d.decided && !slices.ContainsFunc(d.demands, func(need argumentDemand) bool { return need.problem != "" })
}

// Pointers are those whose demands were not met, each once.
func (d ArgumentDecision) Pointers() []string {
	var out []string
	for _, need := range d.demands {
		if need.problem != "" && !slices.Contains(out, need.pointer) {
			out = append(out, need.pointer)
		}
	}
	return out
}

// Explain is the rule's line of an explanation; none where nothing is demanded.
// It never repeats a value of the arguments.
func (d ArgumentDecision) Explain() []RuleResult {
	if len(d.demands) == 0 {
		return nil
	}
	line := RuleResult{Rule: RuleArgument, OK: d.Allowed()}
	var said []string
	for _, need := range d.demands {
		if line.OK || need.problem != "" {
			said = append(said, need.String())
		}
	}
	line.Observed = strings.Join(shortened(said, maxDemandsShown), "; ")
	if line.OK && d.judged {
		line.Observed = "the arguments are as needed: " + line.Observed
	}
	return []RuleResult{line}
}

const (
	maxDemandsShown  = 8
	maxPatternsShown = 5
)

func (n argumentDemand) String() string {
	text := "needs " + n.pointer + " to name a project that the key is limited to"
	if !n.project {
		var patterns []string
		for _, p := range n.allow {
			patterns = append(patterns, quote(p))
		}
		text = "needs " + n.pointer + " to match one of: " + strings.Join(shortened(patterns, maxPatternsShown), ", ")
		if len(patterns) == 0 {
			text = "needs " + n.pointer + " to match one of no patterns: nothing does"
		}
	}
	if n.layer > 0 {
		text = fmt.Sprintf("ancestor %d: %s", n.layer, text)
	}
	if n.problem != "" {
		text += " (" + n.problem + ")"
	}
	return text
}

// shortened is the start of a list, and how many more there are.
func shortened(list []string, most int) []string {
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}
