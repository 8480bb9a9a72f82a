package keys

import "github.com/bailiwick-mcp/bailiwick/policy"

// Effects are what a change of a key would do, of which nothing is done.
type Effects struct {
	Key    Key      // as it stands
	Fields []string // that the change changes, by wire name, sorted

	Added, Removed []OfferEffect // in the offer's order
	// Children are the live keys below it that gain or lose something too; of
	// those, at most MaxFamily are looked at.
	Children int
	// Partial says that the principal has neither view:audit nor view:instances:
	// Added and Removed are then of what it may use itself.
	Partial bool

	// Replayed tells whether recorded use was looked at: it takes view:audit.
	Replayed     bool
	NewlyDenied  []UseEffect // allowed then and before the change, denied by it; most requests first
	NewlyAllowed []UseEffect // denied then and before the change, allowed by it; most requests first
	// NotInCatalog counts the recorded requests that name what is not on offer
	// any more, and that can't be judged.
	NotInCatalog int
	Truncated    bool // there was more than these limits
}

// OfferEffect is something on offer that a key gains or loses.
type OfferEffect struct {
	Offered
	Failed []policy.Rule // with the change, where it is lost; without it, where it is gained
}

// UseEffect are recorded requests of one key for one thing on offer, of which all
// were decided alike, and of which the change would decide otherwise.
type UseEffect struct {
	Key Key // who asked: the changed key, or one below it
	OfferEffect
	Count    int
	Examples []AuditEntry // the newest, first; at most 3, and none of the groups after the first 50
	uses     []AuditUse
}

// The limits of Effects.
const (
	MaxFamily     = 256  // keys below the changed one
	maxUseEffects = 1000 // in NewlyDenied, and in NewlyAllowed
	maxExamples   = 3
	maxExampled   = 50 // groups that have examples
)
