package keystest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// save stores what an instance of acme announces.
func (b *bench) save(instanceID string, defs ...keys.Definition) error {
	_, err := b.store.SaveDefinitions(b.ctx, b.acme, instanceID, defs)
	return err
}

// tools are definitions as "name=digest"; their raw text is the digest's.
func tools(all ...string) []keys.Definition {
	var out []keys.Definition
	for _, one := range all {
		name, digest, _ := strings.Cut(one, "=")
		out = append(out, keys.Definition{Kind: keys.KindTool, Name: name, Digest: digest, Raw: json.RawMessage(`"` + digest + `"`)})
	}
	return out
}

// pinned says of each announced tool which definition it has, and where it is
// another one, which it is held against.
func pinned(defs []keys.Definition) string {
	var out []string
	for _, d := range defs {
		if d.Kind != keys.KindTool {
			continue
		}
		line := d.Name + "=" + d.Digest
		if d.Quarantined() {
			line += "!" + cmp.Or(strings.Trim(string(d.Approved), `"`), "?")
		}
		out = append(out, line)
	}
	return strings.Join(out, " ")
}

// announce saves, and checks what the store answers and what it then reads.
func (b *bench) announce(instanceID, want string, all ...string) {
	b.Helper()
	saved, err := b.store.SaveDefinitions(b.ctx, b.acme, instanceID, tools(all...))
	if err != nil {
		b.Fatal(err)
	}
	b.equal("answered", pinned(saved), want)
	b.read(func(r keys.Reader) error {
		stored, err := r.Definitions(b.ctx, b.acme, instanceID)
		b.equal("stored", stored, saved)
		return err
	})
}

// approve is an edit that must succeed, and answers its epoch.
func (b *bench) approve(instanceID, name, digest string) int64 {
	b.Helper()
	return b.edit(func(w keys.Writer) error {
		_, err := w.ApproveTool(b.ctx, b.acme, instanceID, name, digest)
		return err
	})
}

// pins are all of an instance, as "name=digest@version".
func (b *bench) pins(instanceID string) string {
	b.Helper()
	var out []string
	b.read(func(r keys.Reader) error {
		pins, err := r.Pins(b.ctx, b.acme, instanceID)
		for _, p := range pins {
			out = append(out, fmt.Sprintf("%s=%s@%d", p.Name, p.Digest, p.Version))
		}
		return err
	})
	return strings.Join(out, " ")
}

// mounted is an instance of acme.
func (b *bench) mounted(change ...func(i *keys.Instance)) keys.Instance {
	b.Helper()
	p := b.project(b.acme, "p")
	i := b.instance(b.acme, p.ID, "i")
	for _, fn := range change {
		fn(&i)
		b.edit(func(w keys.Writer) error { return w.UpdateInstance(b.ctx, &i) })
	}
	return i
}

var pinTests = []contractTest{
	{"the first definition is pinned, and held against", func(b *bench) {
		i := b.mounted()
		before := b.epoch()
		b.announce(i.ID, "a=1 b=1", "a=1", "b=1")
		b.announce(i.ID, "a=2!1 b=1", "a=2", "b=1")
		b.announce(i.ID, "a=3!1 b=1", "a=3", "b=1")
		b.announce(i.ID, "a=1 b=1", "a=1", "b=1")
		b.announce(i.ID, "a=1 b=1 c=1", "a=1", "b=1", "c=1")
		b.equal("pins", b.pins(i.ID), "a=1@0 b=1@0 c=1@0")
		b.equal("epoch", b.epoch(), before)
	}},
	{"what is saved says nothing of the pin", func(b *bench) {
		i := b.mounted()
		b.announce(i.ID, "a=1", "a=1")
		forged := tools("a=2", "b=1")
		forged[0].Pinned, forged[0].PinVersion, forged[0].Approved = "2", 99, json.RawMessage(`"2"`)
		forged[1].Pinned, forged[1].Gone = "x", true
		if err := b.save(i.ID, forged...); err != nil {
			b.Fatal(err)
		}
		b.equal("pins", b.pins(i.ID), "a=1@0 b=1@0")
		b.announce(i.ID, "a=2!1 b=1", "a=2", "b=1")
	}},
	{"a tool that is gone is still held against its pin", func(b *bench) {
		i := b.mounted()
		b.announce(i.ID, "a=1 b=1", "a=1", "b=1")
		b.announce(i.ID, "b=1", "b=1")
		b.announce(i.ID, "")
		b.equal("pins", b.pins(i.ID), "a=1@0 b=1@0")
		b.announce(i.ID, "a=2!1", "a=2")
		b.announce(i.ID, "", []string{}...) // gone while it was held
		b.announce(i.ID, "a=3!1", "a=3")
		b.announce(i.ID, "a=1", "a=1")
	}},
	{"other kinds are not pinned", func(b *bench) {
		i := b.mounted()
		prompt := func(digest string) keys.Definition {
			d := tools("a=" + digest)[0]
			d.Kind = "prompt"
			return d
		}
		for _, digest := range []string{"1", "2"} {
			saved, err := b.store.SaveDefinitions(b.ctx, b.acme, i.ID, []keys.Definition{prompt(digest)})
			if err != nil {
				b.Fatal(err)
			}
			if len(saved) != 1 || saved[0].Pinned != "" || saved[0].Digest != digest || saved[0].Quarantined() {
				b.Errorf("saved %+v", saved)
			}
		}
		b.announce(i.ID, "a=1", "a=1") // not held against the prompt
		b.equal("pins", b.pins(i.ID), "a=1@0")
	}},
	{"new tools of a known instance wait where it says so", func(b *bench) {
		i := b.mounted(func(i *keys.Instance) { i.QuarantineNew = true })
		b.announce(i.ID, "a=1", "a=1")
		b.announce(i.ID, "a=1 b=1!?", "a=1", "b=1")
		b.announce(i.ID, "a=1 b=2!?", "a=1", "b=2")
		b.equal("pins", b.pins(i.ID), "a=1@0 b=@0")
		b.announce(i.ID, "a=1", "a=1") // what was never approved leaves nothing behind
		b.equal("pins", b.pins(i.ID), "a=1@0")
		b.announce(i.ID, "b=1!?", "b=1")
		epoch := b.approve(i.ID, "b", "1")
		b.announce(i.ID, "b=1", "b=1")
		b.equal("pins", b.pins(i.ID), fmt.Sprintf("a=1@0 b=1@%d", epoch))
	}},
	{"approve", func(b *bench) {
		i := b.mounted()
		b.announce(i.ID, "a=1 b=1", "a=1", "b=1")
		b.announce(i.ID, "a=2!1 b=1", "a=2", "b=1")
		before := b.epoch()
		for name, want := range map[string]error{"nobody": keys.ErrNotFound, "\x00": keys.ErrNotFound} {
			if _, err := b.tryEdit(func(w keys.Writer) error {
				_, err := w.ApproveTool(b.ctx, b.acme, i.ID, name, "1")
				return err
			}); !errors.Is(err, want) {
				b.Errorf("%q: got %v, want %v", name, err, want)
			}
		}
		for _, digest := range []string{"1", "3", "", "\x00"} {
			b.refused("digest", func(w keys.Writer) error {
				was, err := w.ApproveTool(b.ctx, b.acme, i.ID, "a", digest)
				b.equal("announced", was.Digest, "2")
				return err
			})
		}
		b.missing("of another tenant", func(w keys.Writer) error {
			_, err := w.ApproveTool(b.ctx, b.other, i.ID, "a", "2")
			return err
		})
		var was keys.Definition
		epoch := b.edit(func(w keys.Writer) (err error) {
			was, err = w.ApproveTool(b.ctx, b.acme, i.ID, "a", "2")
			return err
		})
		b.equal("as it was", []string{was.Name, was.Digest, was.Pinned, string(was.Approved)}, []string{"a", "2", "1", `"1"`})
		b.equal("changes", b.changed(before), []string{"instance " + i.ID})
		b.equal("pins", b.pins(i.ID), fmt.Sprintf("a=2@%d b=1@0", epoch))
		b.announce(i.ID, "a=2 b=1", "a=2", "b=1")
		b.announce(i.ID, "a=1!2 b=1", "a=1", "b=1") // the old one is no longer approved
		b.read(func(r keys.Reader) error {
			got, err := r.Instance(b.ctx, b.acme, i.ID)
			b.equal("the instance's version", got.Version, i.Version)
			return err
		})
	}},
	{"approving what is approved is no change", func(b *bench) {
		i := b.mounted()
		b.announce(i.ID, "a=1", "a=1")
		before := b.epoch()
		epoch, err := b.store.Edit(b.ctx, func(w keys.Writer) error {
			_, err := w.ApproveTool(b.ctx, b.acme, i.ID, "a", "1")
			return err
		})
		b.equal("epoch", []any{epoch, err}, []any{before, nil})
		b.equal("pins", b.pins(i.ID), "a=1@0")
	}},
	{"what is gone can't be approved", func(b *bench) {
		i := b.mounted()
		b.announce(i.ID, "a=1", "a=1")
		b.announce(i.ID, "")
		b.missing("ApproveTool", func(w keys.Writer) error {
			_, err := w.ApproveTool(b.ctx, b.acme, i.ID, "a", "1")
			return err
		})
	}},
	{"the kept pins are bounded", func(b *bench) {
		i := b.mounted()
		var many []string
		for n := range keys.MaxGone {
			many = append(many, fmt.Sprintf("t%04d=1", n))
		}
		big := tools("big=1")
		big[0].Raw = json.RawMessage(`"` + strings.Repeat("x", 20<<10) + `"`)
		if err := b.save(i.ID, append(tools(many...), big...)...); err != nil {
			b.Fatal(err)
		}
		b.announce(i.ID, "big=2!"+strings.Repeat("x", 20<<10), "big=2")
		b.announce(i.ID, "new=1!?", "new=1") // big is gone, too: as many as are kept
		b.announce(i.ID, "big=2!? t0001=2!1", "big=2", "t0001=2")
		b.announce(i.ID, "big=1 t0001=1", "big=1", "t0001=1")
	}},
	{"of several that see a tool first, one pins it", func(b *bench) {
		i := b.mounted()
		for _, err := range parallel(8, func(n int) error { return b.save(i.ID, tools(fmt.Sprintf("a=%d", n))...) }) {
			if err != nil {
				b.Error(err)
			}
		}
		first := b.pins(i.ID)
		for _, err := range parallel(8, func(n int) error { return b.save(i.ID, tools(fmt.Sprintf("a=%d", n))...) }) {
			if err != nil {
				b.Error(err)
			}
		}
		b.equal("the pin", b.pins(i.ID), first)
	}},
	{"saves and approvals of one instance wait for each other", func(b *bench) {
		i := b.mounted()
		b.announce(i.ID, "a=0", "a=0")
		var all sync.WaitGroup
		approved, last := map[string]int64{}, int64(0)
		all.Go(func() {
			for n := range 40 {
				if err := b.save(i.ID, tools(fmt.Sprintf("a=%d", n%4), "b=1")...); err != nil {
					b.Error(err)
				}
			}
		})
		all.Go(func() {
			for n := range 40 {
				digest := fmt.Sprint(n % 4)
				epoch, err := b.tryEdit(func(w keys.Writer) error {
					was, err := w.ApproveTool(b.ctx, b.acme, i.ID, "a", digest)
					if err == nil && was.Pinned == digest {
						err = errUnchanged
					}
					return err
				})
				var conflict *keys.ConflictError
				switch {
				case err == nil:
					approved[digest], last = epoch, epoch
				case !errors.As(err, &conflict) && !errors.Is(err, errUnchanged):
					b.Error(err)
				}
			}
		})
		all.Wait()
		if last == 0 {
			b.Log("no approval met the announced definition")
		}
		b.read(func(r keys.Reader) error {
			pins, err := r.Pins(b.ctx, b.acme, i.ID)
			if pins[0].Version != last || last > 0 && approved[pins[0].Digest] != last {
				b.Errorf("pinned %+v, the last approval was %d of %v", pins[0], last, approved)
			}
			return err
		})
	}},
}

var errUnchanged = errors.New("is pinned so already")
