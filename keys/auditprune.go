package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	manageAudit = "manage:audit"
	prunePage   = 500 // entries of one transaction
	// pruneWaiting is how many entries may wait for one with a lower number.
	pruneWaiting = 10_000
	prunedMeta   = "audit.pruned" // and ".<tenant>": before when, as in RFC 3339

	retentionInterval = time.Hour
)

// ErrAuditBroken is a chain that does not verify, which is never cut: what is
// wrong with it would be lost.
var ErrAuditBroken = errors.New("the audit trail does not verify, so it is not cut: bailiwick audit verify says what is wrong")

// PruneAudit removes the tenant's audit entries that are older than a time, and
// answers how many; with dry it only counts. Each chain loses its beginning, up
// to the first entry that is younger, and is checked while it does; where it
// was cut is signed. What was removed is recorded as a change, audit.prune. It
// goes in steps of some 500 entries: what an error leaves is whole. Only the
// operator may.
func (s *Service) PruneAudit(ctx context.Context, p Principal, before time.Time, dry bool) (removed int64, err error) {
	op := operation{"audit.prune", manageAudit}
	if err := s.allow(p, op.needs); err != nil {
		return 0, s.refuse(ctx, p, op, err)
	}
	if !p.IsOperator() {
		return 0, s.refuse(ctx, p, op, &PermissionError{Needed: op.needs})
	}
	removed, err = s.cutAudit(ctx, p.TenantID(), before, dry)
	if removed == 0 || dry {
		return removed, err
	}
	recordErr := s.edit(ctx, p, op, func(e *edit) error {
		at := before.UTC().Format(time.RFC3339Nano)
		if err := e.PutMeta(ctx, prunedMeta+"."+p.TenantID(), at); err != nil {
			return err
		}
		return e.logDetail(ctx, p.TenantID(), map[string]fields{"after": {"before": at, "removed": removed}})
	})
	return removed, errors.Join(err, recordErr)
}

func (s *Service) cutAudit(ctx context.Context, tenantID string, before time.Time, dry bool) (removed int64, err error) {
	chains, err := auditChains(ctx, s.cfg.Store, tenantID)
	if err != nil {
		return 0, err
	}
	c := cutter{signer: s.signer, chains: chains, waiting: map[AuditChainID]map[int64]AuditEntry{}}
	last := ""
	for {
		var page []AuditEntry
		err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
			page, err = r.AuditTrail(ctx, tenantID, last, prunePage)
			return err
		})
		if err != nil {
			return removed, err
		}
		old := false
		for i := range page {
			if last = page[i].ID; page[i].Time.Before(before) {
				old = true
				c.take(page[i])
			}
		}
		ids, cuts, err := c.cut()
		if err != nil {
			return removed, err
		}
		if !dry && len(ids) > 0 {
			if err := s.cfg.Store.CutAudit(ctx, tenantID, ids, cuts); err != nil {
				return removed, fmt.Errorf("cutting the audit trail: %w", err)
			}
		}
		removed += int64(len(ids))
		if !old { // ids grow with time, so there is nothing old after this page
			return removed, nil
		}
	}
}

// cutter finds what can be taken away from the beginnings of chains.
type cutter struct {
	signer  *AuditSigner
	chains  map[AuditChainID]AuditChain
	waiting map[AuditChainID]map[int64]AuditEntry // old ones, by number
	count   int
	ids     []string // of entries in no chain
}

func (c *cutter) take(e AuditEntry) {
	if !e.Chained() {
		c.ids = append(c.ids, e.ID)
		return
	}
	if c.waiting[e.Chain()] == nil {
		c.waiting[e.Chain()] = map[int64]AuditEntry{}
	}
	c.waiting[e.Chain()][e.Seq] = e
	c.count++
}

// cut takes what is next in each chain, and answers its ids and where the
// chains are cut then.
func (c *cutter) cut() (ids []string, cuts []AuditCut, err error) {
	ids, c.ids = c.ids, nil
	for id, waiting := range c.waiting {
		chain, there := c.chains[id]
		if !there { // begun since, by entries that had waited for long
			continue
		}
		if c.signer.Check(chain) != nil || c.signer.CheckCut(chain) != nil {
			return nil, nil, fmt.Errorf("%w (chain %s)", ErrAuditBroken, id.Writer)
		}
		seq, hash := chain.CutSeq, chain.CutHash
		for seq < chain.Seq {
			e, next := waiting[seq+1]
			if !next {
				break
			}
			if AuditHash(hash, &e) != e.Hash {
				return nil, nil, fmt.Errorf("%w (chain %s, entry %d)", ErrAuditBroken, id.Writer, e.Seq)
			}
			seq, hash, ids = e.Seq, e.Hash, append(ids, e.ID)
			delete(waiting, e.Seq)
			c.count--
		}
		if seq > chain.CutSeq {
			from := chain.CutSeq
			chain = c.signer.Cut(chain, seq, hash)
			c.chains[id] = chain
			cuts = append(cuts, AuditCut{AuditChain: chain, From: from})
		}
	}
	if c.count > pruneWaiting {
		return nil, nil, fmt.Errorf("%w (entries are missing)", ErrAuditBroken)
	}
	return ids, cuts, nil
}

// retain removes what is older than is to be kept, in all tenants. Several
// processes may do so at once: who finds that another was faster stops.
func (s *Service) retain(ctx context.Context) error {
	var tenants []Tenant
	err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
		tenants, err = r.Tenants(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var all error
	for _, t := range tenants {
		p := Principal{&identity{kind: principalOperator, tenant: &t}}
		_, err := s.PruneAudit(ctx, p, s.now().Add(-s.cfg.AuditRetention), false)
		if !errors.Is(err, ErrVersion) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// runRetention cuts the trail now and then until ctx ends.
func (s *Service) runRetention(ctx context.Context) {
	if s.cfg.AuditRetention <= 0 {
		return
	}
	cut := func() {
		if err := s.retain(ctx); err != nil && ctx.Err() == nil && s.cfg.Complain != nil {
			s.cfg.Complain(fmt.Errorf("removing old audit entries: %w", err))
		}
	}
	cut()
	every(ctx, retentionInterval, cut)
}
