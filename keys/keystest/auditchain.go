package keystest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// SignAudit sets who signs.
func (m *Memory) SignAudit(signer *keys.AuditSigner) { m.signer.Store(signer) }

// AppendAudit adds the entries that are not there yet.
func (m *Memory) AppendAudit(ctx context.Context, entries []keys.AuditEntry) error {
	return m.update(ctx, func(s *state) error {
		var added []keys.AuditEntry
		for _, e := range entries {
			if e.Kind != kindDecision && e.Kind != kindCall {
				return fmt.Errorf("audit entry of kind %q outside of an edit: only decision and call", e.Kind)
			}
			stored, err := e.Stored()
			if err != nil {
				return err
			}
			again := slices.ContainsFunc(added, func(other keys.AuditEntry) bool { return other.ID == e.ID })
			if _, there := s.audit[e.ID]; !there && !again {
				added = append(added, stored)
			}
		}
		s.link(m.signer.Load(), added)
		return nil
	})
}

// link adds entries at the ends of their chains.
func (s *state) link(signer *keys.AuditSigner, entries []keys.AuditEntry) {
	for _, c := range keys.LinkAudit(signer, s.chains, entries) {
		s.chains[c.ID()] = c
	}
	for _, e := range entries {
		s.audit[e.ID] = cloneEntry(e)
	}
}

func (w *writer) Record(ctx context.Context, entries ...keys.AuditEntry) error {
	for _, e := range entries {
		if err := w.record(ctx, e); err != nil {
			w.spoiled = err
			return err
		}
	}
	return nil
}

func (w *writer) record(ctx context.Context, e keys.AuditEntry) error {
	_, taken := w.state.audit[e.ID]
	if err := w.insertable(ctx, true, taken); err != nil {
		return err
	}
	if !slices.Contains([]string{kindDecision, kindCall, kindChange}, e.Kind) {
		return fmt.Errorf("audit entry of unknown kind %q", e.Kind)
	}
	e.Epoch, e.Writer = w.Epoch(), keys.EditsWriter
	stored, err := e.Stored()
	if err != nil {
		return err
	}
	w.state.link(w.store.signer.Load(), []keys.AuditEntry{stored})
	w.wrote, w.recorded = true, w.recorded || e.Kind == kindChange
	return nil
}

// CutAudit removes entries from the beginnings of chains.
func (m *Memory) CutAudit(ctx context.Context, tenantID string, ids []string, cuts []keys.AuditCut) error {
	return m.update(ctx, func(s *state) error {
		for _, c := range cuts {
			id := keys.AuditChainID{TenantID: tenantID, Writer: c.Writer}
			chain, there := s.chains[id]
			if !there || chain.CutSeq != c.From || chain.Seq < c.CutSeq {
				return keys.ErrVersion
			}
			chain.CutSeq, chain.CutHash, chain.CutMAC = c.CutSeq, c.CutHash, c.CutMAC
			s.chains[id] = chain
		}
		for _, id := range ids {
			if s.audit[id].TenantID == tenantID {
				delete(s.audit, id)
			}
		}
		return nil
	})
}

func (r *reader) AuditTrail(ctx context.Context, tenantID, after string, limit int) ([]keys.AuditEntry, error) {
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	selected := func(e keys.AuditEntry) bool { return e.TenantID == tenantID && e.ID > after }
	list := sorted(r.state.audit, selected, cloneEntry, func(a, b keys.AuditEntry) int { return strings.Compare(a.ID, b.ID) })
	return list[:min(limit, len(list))], nil
}

func (r *reader) AuditChains(ctx context.Context, tenantID string) ([]keys.AuditChain, error) {
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	selected := func(c keys.AuditChain) bool { return tenantID == "" || c.TenantID == tenantID }
	whole := func(c keys.AuditChain) keys.AuditChain { return c }
	return sorted(r.state.chains, selected, whole, func(a, b keys.AuditChain) int {
		return strings.Compare(a.TenantID+"\x00"+a.Writer, b.TenantID+"\x00"+b.Writer)
	}), nil
}
