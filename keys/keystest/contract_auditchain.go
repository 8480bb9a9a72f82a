package keystest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// chains are the tenant's, by writer.
func (b *bench) chains(tenantID string) map[string]keys.AuditChain {
	b.Helper()
	out := map[string]keys.AuditChain{}
	b.read(func(r keys.Reader) error {
		list, err := r.AuditChains(b.ctx, tenantID)
		for _, c := range list {
			out[c.Writer] = c
		}
		return err
	})
	return out
}

// trail is a tenant's whole trail, oldest first.
func (b *bench) trail(tenantID string) []keys.AuditEntry {
	b.Helper()
	var out []keys.AuditEntry
	b.read(func(r keys.Reader) (err error) {
		out, err = r.AuditTrail(b.ctx, tenantID, "", 10_000)
		return err
	})
	return out
}

// whole checks that the trail of a tenant verifies, and has as many entries.
func (b *bench) whole(signer *keys.AuditSigner, tenantID string, entries int64) {
	b.Helper()
	verdicts, err := keys.VerifyAudit(b.ctx, b.store, signer, tenantID)
	if err != nil {
		b.Fatal(err)
	}
	rows := int64(0)
	for _, v := range verdicts {
		rows += v.Rows
		if v.Problem != "" {
			b.Errorf("chain %q: %s", v.Writer, v.Problem)
		}
	}
	b.equal("entries", rows, entries)
}

func someSigner(b *bench) *keys.AuditSigner {
	root, err := keys.ParseRootSecret("0123456789abcdefghijklmnopqrstuv")
	if err != nil {
		b.Fatal(err)
	}
	signer, err := keys.NewAuditSigner(root)
	if err != nil {
		b.Fatal(err)
	}
	return signer
}

// by has an entry written by another writer.
func by(writer string) func(e *keys.AuditEntry) {
	return func(e *keys.AuditEntry) { e.Writer = writer }
}

var chainTests = []contractTest{
	{"one for each tenant and writer", func(b *bench) {
		foreign := b.call(func(e *keys.AuditEntry) { e.TenantID = b.other })
		b.append(b.call(), b.call(by("w2")), b.call(), foreign)
		b.append(b.call(by("w2")), b.call())
		b.project(b.acme, "p")
		got := b.chains(b.acme)
		b.equal("edits", got[keys.EditsWriter].Seq, int64(2))
		b.equal("w1", got["w1"].Seq, int64(3))
		b.equal("w2", got["w2"].Seq, int64(2))
		b.equal("w1 of the other tenant", b.chains(b.other)["w1"].Seq, int64(1))
		b.equal("of all tenants", b.chains("")["w2"].Seq, int64(2))
		b.equal("nowhere", len(b.chains("nul\x00")), 0)
		b.whole(nil, b.acme, 7)
		b.whole(nil, b.other, 1)
	}},
	{"an edit's entries, recorded at once and one by one", func(b *bench) {
		b.edit(func(w keys.Writer) error {
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}
			return errors.Join(w.InsertProject(b.ctx, &p), w.Record(b.ctx, b.changeEntry(), b.changeEntry(), b.foreignChange()), w.Record(b.ctx),
				w.Record(b.ctx, b.foreignChange(), b.changeEntry()))
		})
		b.equal("edits", b.chains(b.acme)[keys.EditsWriter].Seq, int64(5))
		b.whole(nil, b.acme, 5)
		b.whole(nil, b.other, 2)
	}},
	{"an edit that fails to record is none", func(b *bench) {
		taken := b.changeEntry()
		b.edit(func(w keys.Writer) error {
			return errors.Join(w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}), w.Record(b.ctx, taken))
		})
		before, chain := b.epoch(), b.chains(b.acme)[keys.EditsWriter]
		_, err := b.tryEdit(func(w keys.Writer) error {
			_ = w.Record(b.ctx, b.changeEntry(), taken) // whoever goes on regardless
			return w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: "q"})
		})
		var conflict *keys.ConflictError
		if !errors.As(err, &conflict) {
			b.Errorf("got %v, want a conflict", err)
		}
		b.equal("epoch", b.epoch(), before)
		b.equal("chain", b.chains(b.acme)[keys.EditsWriter], chain)
	}},
	{"a batch that is tried again, by another writer too", func(b *bench) {
		one, two, three := b.call(), b.call(), b.call()
		b.append(one, two)
		b.append(one, two)
		by("w2")(&one)
		by("w2")(&two)
		by("w2")(&three)
		b.append(one, two, three)
		b.append(one, two, three, three)
		b.equal("w1", b.chains(b.acme)["w1"].Seq, int64(2))
		b.equal("w2", b.chains(b.acme)["w2"].Seq, int64(1))
		b.whole(nil, b.acme, 4)
	}},
	{"two writers, and one of them twice, at once", func(b *bench) {
		var all sync.WaitGroup
		for _, writer := range []string{"w1", "w1", "w2", "w3"} {
			all.Go(func() {
				for range 20 {
					foreign := b.call(by(writer), func(e *keys.AuditEntry) { e.TenantID = b.other })
					if err := b.store.AppendAudit(b.ctx, []keys.AuditEntry{b.call(by(writer)), foreign, b.call(by(writer))}); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			for i := range 20 {
				b.project(b.acme, fmt.Sprint("p", i))
			}
		})
		all.Wait()
		b.whole(nil, b.acme, 1+160+20)
		b.whole(nil, b.other, 80)
	}},
	{"ends are signed, but not one that somebody else wrote", func(b *bench) {
		b.append(b.call())
		signer := someSigner(b)
		b.store.SignAudit(signer)
		b.append(b.call(), b.call(by("w2")))
		b.append(b.call(), b.call(by("w2")))
		b.edit(func(w keys.Writer) error {
			return w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"})
		})
		got := b.chains(b.acme)
		if err := signer.Check(got["w2"]); err != nil {
			b.Error(err)
		}
		if err := signer.Check(got["w1"]); !errors.Is(err, keys.ErrAuditUnsigned) {
			b.Errorf("got %v, want ErrAuditUnsigned: its first end was not signed", err)
		}
		moved := got["w2"]
		moved.Seq--
		if err := signer.Check(moved); !errors.Is(err, keys.ErrAuditForged) {
			b.Errorf("got %v, want ErrAuditForged", err)
		}
	}},
	{"the trail from its beginning", func(b *bench) {
		one, two := b.call(), b.call()
		b.append(one, b.call(func(e *keys.AuditEntry) { e.TenantID = b.other }), two)
		all := b.trail(b.acme)
		b.equal("entries", ids(all[1:]), ids([]keys.AuditEntry{one, two}))
		b.read(func(r keys.Reader) error {
			page, err := r.AuditTrail(b.ctx, b.acme, all[0].ID, 1)
			b.equal("page", ids(page), []string{one.ID})
			none, err2 := r.AuditTrail(b.ctx, b.acme, two.ID, 5)
			b.equal("after the last", len(none), 0)
			nowhere, err3 := r.AuditTrail(b.ctx, b.acme, "nul\x00", 5)
			b.equal("nowhere", len(nowhere), 0)
			return errors.Join(err, err2, err3)
		})
	}},
	{"cut", func(b *bench) {
		one, two, three := b.call(), b.call(), b.call()
		foreign := b.call(func(e *keys.AuditEntry) { e.TenantID = b.other })
		b.append(one, two, three, foreign)
		rows := b.trail(b.acme)[1:]
		cut := keys.AuditCut{AuditChain: keys.AuditChain{TenantID: b.acme, Writer: "w1", CutSeq: 2, CutHash: rows[1].Hash, CutMAC: "m"}}
		before := b.epoch()
		if err := b.store.CutAudit(b.ctx, b.acme, []string{one.ID, two.ID, foreign.ID}, []keys.AuditCut{cut}); err != nil {
			b.Fatal(err)
		}
		b.equal("epoch", b.epoch(), before)
		b.equal("left", ids(b.trail(b.acme)[1:]), []string{three.ID})
		b.equal("of the other", len(b.trail(b.other)), 1)
		got := b.chains(b.acme)["w1"]
		b.equal("chain", []any{got.Seq, got.Hash, got.CutSeq, got.CutHash, got.CutMAC}, []any{int64(3), rows[2].Hash, int64(2), rows[1].Hash, "m"})
		b.append(b.call())
		b.equal("kept", b.chains(b.acme)["w1"].CutSeq, int64(2))
		b.whole(nil, b.acme, 3)
		for name, c := range map[string]keys.AuditCut{
			"moved":        {From: 1, AuditChain: keys.AuditChain{Writer: "w1", CutSeq: 3}},
			"beyond":       {From: 2, AuditChain: keys.AuditChain{Writer: "w1", CutSeq: 5}},
			"no such one":  {AuditChain: keys.AuditChain{Writer: "w9", CutSeq: 1}},
			"of the other": {AuditChain: keys.AuditChain{Writer: "w8", CutSeq: 1}},
		} {
			err := b.store.CutAudit(b.ctx, b.acme, []string{three.ID}, []keys.AuditCut{c})
			if !errors.Is(err, keys.ErrVersion) {
				b.Errorf("%s: got %v, want ErrVersion", name, err)
			}
		}
		b.equal("left after refusals", len(b.trail(b.acme)), 3)
	}},
	{"what is kept has the hash of what comes back", func(b *bench) {
		nasty := "a\x00b\xff\xfe\u2028<&>é"
		for _, detail := range []string{
			`{"b":1.50,"a":[1e2,-0,0.1,12345678901234567890,1e400,1E-7,-1e-400],"\ud800":"\u0000","é":null,"b":{"z":1,"y":2}}`,
			`null`, `"x"`, `[]`, `{}`, `1e21`, ` {"a" : "\u003c\/" } `, `9007199254740993`, `123456789012345680000`,
		} {
			b.append(b.call(func(e *keys.AuditEntry) {
				e.Tool, e.Client, e.Actor, e.Failed, e.Ref = nasty, nasty, nasty, []string{nasty, ""}, newID()
				e.KeyVersion, e.Latency, e.Detail = 7, 1999, json.RawMessage(detail)
			}))
		}
		b.whole(nil, b.acme, 10)
	}},
}

func (b *bench) foreignChange() keys.AuditEntry {
	e := b.changeEntry()
	e.TenantID = b.other
	return e
}
