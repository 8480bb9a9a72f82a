package keys

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// AuditVerdict is what was found of one chain of the trail.
type AuditVerdict struct {
	TenantID, Writer string // Writer "" = the entries from before there were chains
	Rows             int64
	First, Last      int64  // numbers of the entries that are there; 0 = none
	Cut              int64  // retention took away the entries up to here
	Signature        string // valid, unchecked; "" where there is none to have
	Problem          string // the first thing that is wrong, by number; "" = nothing

	at int64
}

// AuditChecker checks entries against the hashes that they have, as they come,
// in any order. What it keeps grows with the chains and gaps that it has
// seen, not with the entries.
type AuditChecker struct {
	chains map[AuditChainID]*chainCheck
	gaps   int
}

// maxAuditGaps is how many gaps a checker keeps before it gives up.
const maxAuditGaps = 10_000

// ErrAuditGaps is a trail with too many gaps to be checked: not a whole one.
var ErrAuditGaps = errors.New("the entries have too many gaps to be a whole trail: entries of other keys, kinds or times were left out, or taken away")

// chainCheck is what has been seen of a chain: spans without gaps, by number.
type chainCheck struct {
	verdict AuditVerdict
	spans   []span
}

type span struct {
	first AuditEntry // the one whose link to the one before is not checked yet
	last  int64
	hash  string // of the last
}

// NewAuditChecker makes a checker that has seen nothing.
func NewAuditChecker() *AuditChecker { return &AuditChecker{chains: map[AuditChainID]*chainCheck{}} }

func (c *AuditChecker) chain(id AuditChainID) *chainCheck {
	found := c.chains[id]
	if found == nil {
		found = &chainCheck{verdict: AuditVerdict{TenantID: id.TenantID, Writer: id.Writer}}
		c.chains[id] = found
	}
	return found
}

// Add takes the next entry, which must be a chained one.
func (c *AuditChecker) Add(e AuditEntry) error {
	chain := c.chain(e.Chain())
	chain.verdict.Rows++
	before := chain.gaps()
	chain.add(e)
	if c.gaps += chain.gaps() - before; c.gaps > maxAuditGaps {
		return ErrAuditGaps
	}
	return nil
}

// gaps is how many there are between the entries that were seen. That a chain is
// there is none: each process that ever wrote has one.
func (c *chainCheck) gaps() int { return max(len(c.spans)-1, 0) }

func (c *chainCheck) add(e AuditEntry) {
	if e.Seq < 1 {
		c.wrong(e.Seq, "entry %s has the number %d", e.ID, e.Seq)
		return
	}
	// The first span that does not end before the entry.
	i, _ := slices.BinarySearchFunc(c.spans, e.Seq, func(s span, seq int64) int { return cmp.Compare(s.last, seq) })
	if i < len(c.spans) && c.spans[i].first.Seq <= e.Seq {
		c.wrong(e.Seq, "number %d stands twice, the second time as entry %s", e.Seq, e.ID)
		return
	}
	follows := i > 0 && c.spans[i-1].last == e.Seq-1
	leads := i < len(c.spans) && c.spans[i].first.Seq == e.Seq+1
	if follows {
		c.link(c.spans[i-1].hash, &e)
	}
	if leads {
		c.link(e.Hash, &c.spans[i].first)
	}
	switch {
	case follows && leads:
		c.spans[i-1].last, c.spans[i-1].hash = c.spans[i].last, c.spans[i].hash
		c.spans = slices.Delete(c.spans, i, i+1)
	case follows:
		c.spans[i-1].last, c.spans[i-1].hash = e.Seq, e.Hash
	case leads:
		c.spans[i].first = e
	default:
		c.spans = slices.Insert(c.spans, i, span{first: e, last: e.Seq, hash: e.Hash})
	}
}

// link checks the hash of an entry after the one with the given hash.
func (c *chainCheck) link(before string, e *AuditEntry) {
	if AuditHash(before, e) != e.Hash {
		c.wrong(e.Seq, "entry %d (%s) does not have the hash of what it says after entry %d: it was changed, or the hash of the one before", e.Seq, e.ID, e.Seq-1)
	}
}

// wrong keeps the problem with the lowest number.
func (c *chainCheck) wrong(at int64, format string, args ...any) {
	if c.verdict.Problem == "" || at < c.verdict.at {
		c.verdict.at, c.verdict.Problem = at, fmt.Sprintf(format, args...)
	}
}

// against holds what was seen to where the chain was cut, and where it ends.
func (c *chainCheck) against(chain AuditChain) {
	c.begins(chain.CutSeq, chain.CutHash)
	c.verdict.Cut = chain.CutSeq
	c.gapless()
	if len(c.spans) == 0 {
		if chain.Seq != chain.CutSeq {
			c.missing(chain.CutSeq+1, chain.Seq)
		} else if chain.Seq > 0 && chain.Hash != chain.CutHash {
			c.wrong(chain.Seq, "the chain ends in another entry %d than it was cut after", chain.Seq)
		}
		return
	}
	last := c.spans[len(c.spans)-1]
	switch {
	case last.last < chain.Seq:
		c.missing(last.last+1, chain.Seq)
	case last.last > chain.Seq:
		c.wrong(chain.Seq+1, "entry %d comes after the chain's end, %d: it was added, or the end was set back", chain.Seq+1, chain.Seq)
	case last.hash != chain.Hash:
		c.wrong(last.last, "entry %d is not the one that the chain ends in: it was replaced, or the chain's end was", last.last)
	}
}

// begins checks the first entry, which comes after the one with the number and
// hash of the cut; nothing and "" before the first of all.
func (c *chainCheck) begins(cut int64, hash string) {
	if len(c.spans) == 0 {
		return
	}
	first := &c.spans[0].first
	switch {
	case first.Seq == cut+1:
		c.link(hash, first)
	case first.Seq <= cut:
		c.wrong(first.Seq, "entry %d (%s) is there, though the chain was cut after entry %d: it was added, or the cut was changed", first.Seq, first.ID, cut)
	default:
		c.missing(cut+1, first.Seq-1)
	}
}

func (c *chainCheck) gapless() {
	for i := range c.spans {
		if i > 0 {
			c.missing(c.spans[i-1].last+1, c.spans[i].first.Seq-1)
		}
	}
	if len(c.spans) > 0 {
		c.verdict.First, c.verdict.Last = c.spans[0].first.Seq, c.spans[len(c.spans)-1].last
	}
}

func (c *chainCheck) missing(from, to int64) {
	if from == to {
		c.wrong(from, "entry %d is missing", from)
		return
	}
	c.wrong(from, "entries %d to %d are missing", from, to)
}

// Verdicts are what was found of entries alone, without their store: of a chain
// that does not begin with entry 1 the first entry's hash can't be checked, and
// what came after the last is not known.
func (c *AuditChecker) Verdicts() []AuditVerdict {
	for _, chain := range c.chains {
		if len(chain.spans) > 0 && chain.spans[0].first.Seq == 1 {
			chain.begins(0, "")
		}
		chain.gapless()
		chain.verdict.Signature = "unchecked"
	}
	return c.verdicts()
}

func (c *AuditChecker) verdicts() []AuditVerdict {
	out := make([]AuditVerdict, 0, len(c.chains))
	for _, chain := range c.chains {
		out = append(out, chain.verdict)
	}
	slices.SortFunc(out, func(a, b AuditVerdict) int {
		return cmp.Or(cmp.Compare(a.TenantID, b.TenantID), cmp.Compare(a.Writer, b.Writer))
	})
	return out
}
