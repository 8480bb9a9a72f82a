package keys

import (
	"context"
	"errors"
	"fmt"
)

const (
	verifyPage  = 1000
	verifyTries = 5
)

// ErrAuditMoving is a trail that retention cuts while it is verified.
var ErrAuditMoving = errors.New("the audit trail is being cut: try again")

// VerifyAudit checks a tenant's trail in a store: each chain's hashes, its
// beginning and its end, and their signatures, which a nil signer leaves
// unchecked. Entries that are written meanwhile are left out. It reads page by
// page and holds no transaction for long. What is wrong with the trail is in
// the verdicts; an error says that it could not be read.
func VerifyAudit(ctx context.Context, store Store, signer *AuditSigner, tenantID string) ([]AuditVerdict, error) {
	for range verifyTries {
		verdicts, moved, err := verifyAudit(ctx, store, signer, tenantID)
		if err != nil || !moved {
			return verdicts, err
		}
	}
	return nil, ErrAuditMoving
}

func verifyAudit(ctx context.Context, store Store, signer *AuditSigner, tenantID string) (_ []AuditVerdict, moved bool, err error) {
	before, err := auditChains(ctx, store, tenantID)
	if err != nil {
		return nil, false, err
	}
	scan := auditScan{before: before, checker: NewAuditChecker(), later: map[AuditChainID]int64{}}
	if err := eachAuditPage(ctx, store, tenantID, scan.page); err != nil {
		return nil, false, err
	}
	after, err := auditChains(ctx, store, tenantID)
	if err != nil {
		return nil, false, err
	}
	for id, chain := range before {
		if after[id].CutSeq != chain.CutSeq {
			return nil, true, nil
		}
	}
	scan.end(signer, after)
	verdicts := scan.checker.verdicts()
	if scan.old.Rows > 0 {
		scan.old.TenantID = tenantID
		verdicts = append([]AuditVerdict{scan.old}, verdicts...)
	}
	return verdicts, false, nil
}

// auditScan is one reading of a tenant's trail.
type auditScan struct {
	before  map[AuditChainID]AuditChain
	checker *AuditChecker
	later   map[AuditChainID]int64 // the highest number past the end that the chain had before
	old     AuditVerdict           // of the entries that are in no chain
	began   bool                   // an entry of a chain was read
}

func (s *auditScan) page(page []AuditEntry) error {
	for i := range page {
		e := &page[i]
		if !e.Chained() {
			s.unchained(e)
			continue
		}
		s.began = true
		id := e.Chain()
		// What was written since then may have been read in part.
		if chain, known := s.before[id]; known && e.Seq > chain.Seq {
			s.later[id] = max(s.later[id], e.Seq)
			continue
		}
		if err := s.checker.Add(*e); err != nil {
			return err
		}
	}
	return nil
}

// unchained counts an entry that is in no chain. Ids grow with time, so there
// can be none after the first that is in one.
func (s *auditScan) unchained(e *AuditEntry) {
	s.old.Rows++
	if s.began && s.old.Problem == "" {
		s.old.Problem = fmt.Sprintf("entry %s is in no chain, and younger than others that are: it was taken out of its chain, "+
			"or added, or a server of an older version has written it", e.ID)
	}
}

// end holds what was read to the ends of the chains.
func (s *auditScan) end(signer *AuditSigner, after map[AuditChainID]AuditChain) {
	for id, chain := range s.before {
		found := s.checker.chain(id)
		found.against(chain)
		found.signed(signer, chain)
		if now := after[id]; s.later[id] > now.Seq {
			found.wrong(now.Seq+1, "entry %d comes after the chain's end, %d: it was added, or the end was set back", now.Seq+1, now.Seq)
		}
	}
	for id, found := range s.checker.chains {
		if _, there := s.before[id]; there {
			continue
		}
		if _, there := after[id]; there { // begun since
			delete(s.checker.chains, id)
			continue
		}
		found.gapless()
		found.wrong(0, "where the chain ends is not recorded: that was removed, or the entries were added")
	}
}

// signed checks the signatures of a chain's end and cut.
func (c *chainCheck) signed(signer *AuditSigner, chain AuditChain) {
	if signer == nil {
		c.verdict.Signature = "unchecked"
		return
	}
	c.verdict.Signature = "valid"
	for _, what := range []struct {
		name string
		at   int64
		err  error
	}{
		{"where the chain was cut", chain.CutSeq, signer.CheckCut(chain)},
		{"the chain's end", chain.Seq, signer.Check(chain)},
	} {
		switch {
		case errors.Is(what.err, ErrAuditVersion):
			c.verdict.Signature = "unchecked"
		case what.err != nil:
			c.verdict.Signature = "invalid"
		}
		if what.err != nil {
			c.wrong(what.at, "%s, after entry %d: %v", what.name, what.at, what.err)
		}
	}
}

func auditChains(ctx context.Context, store Store, tenantID string) (map[AuditChainID]AuditChain, error) {
	chains := map[AuditChainID]AuditChain{}
	err := store.Read(ctx, func(r Reader) error {
		list, err := r.AuditChains(ctx, tenantID)
		for _, c := range list {
			chains[c.ID()] = c
		}
		return err
	})
	return chains, err
}

// eachAuditPage reads a tenant's trail from its beginning, each page by itself.
func eachAuditPage(ctx context.Context, store Store, tenantID string, fn func([]AuditEntry) error) error {
	last := ""
	for {
		var page []AuditEntry
		err := store.Read(ctx, func(r Reader) (err error) {
			page, err = r.AuditTrail(ctx, tenantID, last, verifyPage)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		last = page[len(page)-1].ID
	}
}

// AuditTenants are the tenants that have an audit trail, or may have one.
func AuditTenants(ctx context.Context, store Store) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	add := func(id string) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	err := store.Read(ctx, func(r Reader) error {
		tenants, err := r.Tenants(ctx)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			add(t.ID)
		}
		chains, err := r.AuditChains(ctx, "")
		for _, c := range chains {
			add(c.TenantID)
		}
		return err
	})
	return ids, err
}
