package keys

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Replay counts what came of making recorded decisions again.
type Replay struct {
	Same      int64
	Different int64
	// Skipped are those that can't be made again, by why.
	Skipped map[ReplaySkip]int64
}

// Replayed is how many were made again.
func (r *Replay) Replayed() int64 { return r.Same + r.Different }

// ReplaySkip is why a decision can't be made again.
type ReplaySkip string

// The reasons.
const (
	// SkipUnseen: what was seen of the tool is not recorded. The entry is from
	// before that was, or what was asked for is not kept, as it held a token.
	SkipUnseen ReplaySkip = "unseen"
	// SkipCut: retention took away what the key, one above it, its preset or the
	// tenant was then.
	SkipCut ReplaySkip = "cut"
	// SkipCallTime: a rule for calls alone failed, or let a call through that it
	// could have stopped: arguments, limits, approvals. That depends on more than is
	// recorded. All other rules were decided again, as recorded.
	SkipCallTime ReplaySkip = "callTime"
	// SkipNotMCP: it is about a change or a look by another door than MCP.
	SkipNotMCP ReplaySkip = "notMCP"
)

// ReplaySkips are all reasons.
var ReplaySkips = []ReplaySkip{SkipUnseen, SkipCut, SkipCallTime, SkipNotMCP}

// ReplayDifference is a decision that does not come out as it was recorded.
type ReplayDifference struct {
	Entry    AuditEntry
	Decision string   // as made again: allow, deny; "" where it could not be, for Problem
	Failed   []string // as made again, in order
	Problem  string   // what is wrong with the trail, in words; "" = nothing else
}

// ReplayQuery selects the decisions that are made again. The zero query is all.
type ReplayQuery struct {
	KeyID string
	Since time.Time // from then on
	Until time.Time // before then; zero = without an end
	// Progress is told now and then how many entries were read; nil = nobody is.
	Progress func(entries int64)
}

// ReplayAudit makes the decisions on the tenant's MCP requests again: those of
// calls and denials in its trail, each with the policies as they were at its edit,
// which it works out from the trail's changes, with the tool as it was seen, and at
// its time. It compares whether it was allowed and every rule that failed, and
// tells of each difference; an error of differs ends it. What the session had
// given up by itself, and of a JWT when it ended and which permissions it had, is
// not recorded: there the recorded word is taken. Entries that are written
// meanwhile are left out.
//
// Where a rule for calls alone decided, or could have, the outcome is not claimed:
// SkipCallTime. It needs view:audit. It reads page by page; what it keeps grows with
// the changes in the trail, not with the calls.
func (s *Service) ReplayAudit(ctx context.Context, p Principal, q ReplayQuery, differs func(ReplayDifference) error) (Replay, error) {
	op := operation{"audit.replay", viewAudit}
	if err := s.allow(p, op.needs); err != nil {
		return Replay{}, s.refuse(ctx, p, op, err)
	}
	var f faults
	f.time("since", q.Since)
	if !q.Until.IsZero() {
		f.time("until", q.Until)
	}
	if err := f.err(); err != nil {
		return Replay{}, err
	}
	reader, err := readFold(ctx, s.cfg.Store, p.TenantID())
	if err != nil {
		return Replay{}, err
	}
	out, read := Replay{Skipped: map[ReplaySkip]int64{}}, int64(0)
	entries := AuditQuery{KeyID: q.KeyID, Since: q.Since, Until: q.Until}
	err = eachAudit(ctx, s.cfg.Store, p.TenantID(), entries, func(page []AuditEntry) error {
		for i := range page {
			if err := out.add(ctx, reader, &page[i], differs); err != nil {
				return err
			}
		}
		if read += int64(len(page)); q.Progress != nil {
			q.Progress(read)
		}
		return nil
	})
	return out, err
}

// add makes an entry's decision again, if it has one, and counts it.
func (r *Replay) add(ctx context.Context, reader *foldReader, e *AuditEntry, differs func(ReplayDifference) error) error {
	if e.Kind == "change" || e.Epoch > reader.upTo {
		return nil
	}
	skip, difference, err := reader.replay(ctx, e)
	switch {
	case err != nil:
		return err
	case difference != nil:
		r.Different++
		return differs(*difference)
	case skip != "":
		r.Skipped[skip]++
	default:
		r.Same++
	}
	return nil
}

// replay makes one decision again. Without a difference and a reason to skip it,
// it came out the same; an error is one of the store.
func (r *foldReader) replay(ctx context.Context, e *AuditEntry) (ReplaySkip, *ReplayDifference, error) {
	overMCP := e.KeyID != "" || strings.HasPrefix(e.Actor, jwtActor)
	switch {
	case e.Seen == "" && (!overMCP || isOperation(e.Action)):
		return SkipNotMCP, nil, nil
	case e.Seen == "":
		return SkipUnseen, nil, nil
	}
	wrong := &ReplayDifference{Entry: *e, Failed: []string{}}
	if !overMCP {
		wrong.Problem = "nobody but a key or a JWT's subject can ask over MCP"
		return "", wrong, nil
	}
	g, err := r.grantOf(ctx, e)
	var bad *foldError
	switch {
	case errors.Is(err, errUnfolded):
		return SkipCut, nil, nil
	case errors.As(err, &bad) && !bad.certain:
		return SkipCut, nil, nil
	case errors.As(err, &bad):
		wrong.Problem = bad.Error()
		return "", wrong, nil
	case err != nil:
		return "", nil, err
	}
	skip, difference := again(e, g.grant)
	if difference != nil && !g.certain {
		return SkipCut, nil, nil
	}
	return skip, difference, nil
}

// isOperation tells what the Service itself decides (key.create, audit.list) from
// what MCP's clients ask for (tools/call, initialize, http GET).
func isOperation(action string) bool { return strings.Contains(action, ".") }
