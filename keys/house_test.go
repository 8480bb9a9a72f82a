package keys_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// house is a service over a store in memory, with its first key.
type house struct {
	t     testing.TB
	ctx   context.Context
	store *watchedStore
	clock *clock
	svc   *keys.Service
	token keys.Secret    // the first key
	first keys.Principal // its principal
	op    keys.Principal // the operator
}

var rootSecret = keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"}

func newHouse(t testing.TB) *house {
	h := &house{
		t: t, ctx: t.Context(), clock: newClock(), store: &watchedStore{Memory: keystest.NewMemory()},
	}
	h.svc = h.service()
	var err error
	if h.token, err = h.svc.Bootstrap(h.ctx); err != nil || h.token == "" {
		t.Fatalf("bootstrap: %v", err)
	}
	h.first = h.login(h.token)
	if h.op, err = h.svc.Operator(h.ctx, "default"); err != nil {
		t.Fatal(err)
	}
	return h
}

// service is another process over the same store.
func (h *house) service() *keys.Service {
	svc, err := keys.New(h.ctx, keys.Config{
		Store: h.store, Root: rootSecret, Now: h.clock.Now, PollInterval: 5 * time.Millisecond,
		MaxStaleness: 200 * time.Millisecond,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return svc
}

func (h *house) login(token keys.Secret) keys.Principal {
	h.t.Helper()
	p, err := h.svc.Authenticate(h.ctx, token)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// mint makes a key as p.
func (h *house) mint(p keys.Principal, n keys.NewKey) keys.Issued {
	h.t.Helper()
	if n.Name == "" {
		n.Name = "a key"
	}
	issued, err := h.svc.CreateKey(h.ctx, p, n)
	if err != nil {
		h.t.Fatalf("creating a key: %v %+v", err, details(err))
	}
	return issued
}

// as mints a key by the operator and logs it in.
func (h *house) as(n keys.NewKey) keys.Principal {
	h.t.Helper()
	return h.login(h.mint(h.op, n).Secret)
}

// manager is a key that may manage keys, with the given policy.
func (h *house) manager(pp keys.PolicyPatch) keys.Principal {
	h.t.Helper()
	return h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"}), PolicyPatch: pp})
}

func (h *house) project(slug string) keys.Project {
	h.t.Helper()
	p, err := h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Slug: slug, Name: slug})
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) instance(slug string, change ...func(*keys.InstanceSpec)) keys.Instance {
	h.t.Helper()
	spec := remote(slug)
	for _, fn := range change {
		fn(&spec)
	}
	i, err := h.svc.CreateInstance(h.ctx, h.op, spec)
	if err != nil {
		h.t.Fatalf("creating an instance: %v %+v", err, details(err))
	}
	return i
}

func remote(slug string) keys.InstanceSpec {
	return keys.InstanceSpec{
		Slug: keys.Some(slug), Transport: keys.Some(keys.TransportHTTP), URL: keys.Some("https://tools.example/mcp"),
	}
}

func full() keys.PolicyPatch {
	return keys.PolicyPatch{MCPPreset: keys.Some(policy.PresetFullAccess), MCPReadOnly: keys.Some(false)}
}

// fieldsOf are the fields that an error names.
func fieldsOf(err error) []string {
	var out []string
	for _, p := range details(err) {
		if !slices.Contains(out, p.Field) {
			out = append(out, p.Field)
		}
	}
	return out
}

func details(err error) []policy.Problem {
	var invalid *keys.InvalidError
	var denied *keys.PermissionError
	switch {
	case errors.As(err, &invalid):
		return invalid.Fields
	case errors.As(err, &denied):
		return denied.Fields
	}
	return nil
}

func isDenied(err error) bool {
	var denied *keys.PermissionError
	return errors.As(err, &denied)
}

func isInvalid(err error) bool {
	var invalid *keys.InvalidError
	return errors.As(err, &invalid)
}

func isConflict(err error) bool {
	var conflict *keys.ConflictError
	return errors.As(err, &conflict)
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// watchedStore counts what is asked of the store, and can hold a read back
// after it has read.
type watchedStore struct {
	*keystest.Memory
	asked      atomic.Int64
	afterRow   atomic.Pointer[func()] // runs once a key was read by its hash
	beforeEdit atomic.Pointer[func()] // runs once an edit begins
	afterEdit  atomic.Pointer[func()] // runs once an edit has ended
	inRead     atomic.Pointer[func()] // runs in each read
	sealed     sealedRows
}

func (s *watchedStore) Read(ctx context.Context, fn func(keys.Reader) error) error {
	s.asked.Add(1)
	if fn := s.inRead.Load(); fn != nil {
		(*fn)()
	}
	return s.Memory.Read(ctx, func(r keys.Reader) error { return fn(watchedReader{r, s}) })
}

func (s *watchedStore) Edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	s.asked.Add(1)
	if fn := s.beforeEdit.Swap(nil); fn != nil {
		(*fn)()
	}
	epoch, err := s.Memory.Edit(ctx, func(w keys.Writer) error { return fn(watchedWriter{w, s}) })
	if fn := s.afterEdit.Swap(nil); fn != nil {
		(*fn)()
	}
	return epoch, err
}

// sealedRows are the rows that no Reader lists.
type sealedRows struct {
	mu   sync.Mutex
	rows []any
}

func (r *sealedRows) add(row any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

func (w watchedWriter) InsertLogin(ctx context.Context, l *keys.LoginRecord) error {
	w.store.sealed.add(*l)
	return w.Writer.InsertLogin(ctx, l)
}

func (w watchedWriter) UpdateLogin(ctx context.Context, l *keys.LoginRecord) error {
	w.store.sealed.add(*l)
	w.store.sealed.add(string(l.Sealed))
	return w.Writer.UpdateLogin(ctx, l)
}

func (w watchedWriter) InsertCallApproval(ctx context.Context, a *keys.CallApprovalRecord) error {
	w.store.sealed.add(*a)
	w.store.sealed.add(string(a.Sealed))
	return w.Writer.InsertCallApproval(ctx, a)
}

type watchedWriter struct {
	keys.Writer
	store *watchedStore
}

func (w watchedWriter) PutAnswer(ctx context.Context, a *keys.Answer) error {
	w.store.sealed.add(*a)
	w.store.sealed.add(string(a.Sealed))
	return w.Writer.PutAnswer(ctx, a)
}

type watchedReader struct {
	keys.Reader
	store *watchedStore
}

func (r watchedReader) KeyByHash(ctx context.Context, hash [32]byte) (keys.Key, keys.KeySecret, error) {
	key, secret, err := r.Reader.KeyByHash(ctx, hash)
	if fn := r.store.afterRow.Swap(nil); fn != nil {
		(*fn)()
	}
	return key, secret, err
}
