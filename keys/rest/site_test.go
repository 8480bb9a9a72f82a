package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// site is a server on a socket and a real database, with its first key, and a
// second tenant that has a key of its own.
type site struct {
	t       testing.TB
	ctx     context.Context
	clock   *clock
	store   *db.DB
	svc     *keys.Service
	op      keys.Principal
	first   keys.Issued
	foreign keys.Issued // of the tenant "other"
	url     string
	began   int64         // the epoch after all this was made
	made    *atomic.Int64 // sets of targets
}

// clock stands still between requests.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newSite(t testing.TB, cfg db.Config) *site {
	t.Helper()
	s := &site{t: t, ctx: context.Background(), made: new(atomic.Int64), clock: &clock{at: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}}
	cfg.Now = s.clock.now
	s.store = dbtest.Open(t, cfg)
	root := keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"}
	svc, err := keys.New(s.ctx, keys.Config{Store: s.store, Root: root, Now: s.clock.now})
	s.must(err)
	s.svc = svc
	// What has run writes every audit entry at once, and no last use.
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	s.must(svc.Run(ended))
	s.first.Secret, err = svc.Bootstrap(s.ctx)
	s.must(err)
	s.op, err = svc.Operator(s.ctx, "default")
	s.must(err)
	s.first.Key, err = svc.FindKey(s.ctx, s.op, "first-key")
	s.must(err)
	other, err := svc.CreateTenant(s.ctx, s.op, keys.NewTenant{Name: "Other"})
	s.must(err)
	foreigner, err := svc.Operator(s.ctx, other.ID)
	s.must(err)
	s.foreign, err = svc.CreateKey(s.ctx, foreigner, keys.NewKey{Name: "theirs", Permissions: keys.Some([]string{"*"})})
	s.must(err)
	s.began, err = s.store.Epoch(s.ctx)
	s.must(err)
	server := httptest.NewServer(rest.New(rest.Config{
		Service: svc, Authenticate: bearer.Authenticator{APIKeys: svc}.Authenticate,
		InstanceStatus: func(string) (string, string) { return "down", "no answer" },
		InstanceTools:  toolsOf(svc), Offer: offerOf(svc),
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// toolsOf are the tools that an instance has announced, or one where none was,
// as a gateway would list them.
func toolsOf(svc *keys.Service) func(context.Context, keys.Instance) ([]wire.Tool, error) {
	return func(ctx context.Context, i keys.Instance) ([]wire.Tool, error) {
		defs, err := svc.Definitions(ctx, i)
		if len(defs) == 0 || err != nil {
			return []wire.Tool{{Name: "get", Exposed: "x__get", Category: "tools", Effect: "read", Digest: "0a", Definition: json.RawMessage(`{}`)}}, err
		}
		out := make([]wire.Tool, len(defs))
		for n, d := range defs {
			out[n] = wire.Tool{Name: d.Name, Exposed: i.Slug + "__" + d.Name, Category: "tools", Effect: "destructive",
				Digest: d.Digest, Quarantined: d.Quarantined(), Definition: d.Raw}
			if d.Quarantined() {
				out[n].ApprovedDigest, out[n].Approved = d.Pinned, d.Accepted()
			}
		}
		return out, nil
	}
}

// offerOf are the tools that instances have announced, as a gateway would offer
// them: those named get... only read.
func offerOf(svc *keys.Service) func(context.Context, keys.Principal) (keys.Offer, error) {
	return func(ctx context.Context, p keys.Principal) (keys.Offer, error) {
		all, err := svc.Mounts(ctx)
		var items []keys.Offered
		for _, i := range all {
			if i.TenantID != p.TenantID() {
				continue
			}
			defs, err := svc.Definitions(ctx, i)
			if err != nil {
				return keys.Offer{}, err
			}
			for _, d := range defs {
				tool := policy.Tool{ID: i.Slug + "/" + d.Name, Name: i.Slug + "__" + d.Name, Category: "tools", Effect: policy.EffectDestructive,
					InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: i.WriteEnabled, Quarantined: d.Quarantined()}
				if strings.HasPrefix(d.Name, "get") {
					tool.Effect = policy.EffectRead
				}
				items = append(items, keys.Offered{Kind: d.Kind, Tool: tool})
			}
		}
		if items == nil {
			return notesOffer, err
		}
		return keys.NewOffer(items), err
	}
}

// used records a request of a key for a tool, as a gateway does.
func (s *site) used(handle, decision, tool string) {
	s.t.Helper()
	k, err := s.svc.FindKey(s.ctx, s.op, handle)
	s.must(err)
	e := keys.AuditEntry{TenantID: k.TenantID, Kind: "call", Action: "tools/call", Actor: k.ID, KeyID: k.ID, KeyVersion: k.Version,
		Subject: tool, Tool: strings.Replace(tool, "/", "__", 1), Decision: decision, Epoch: k.Version}
	if decision == "deny" {
		e.Kind, e.Failed, e.Ref = "decision", []string{"readonly"}, "zzzzzzzzzzzzzzzc"
	}
	s.must(s.svc.Record(s.ctx, e))
}

// announce stores definitions of an instance as its upstream would announce
// them: lines of a name and a digest.
func (s *site) announce(slug, lines string) {
	s.t.Helper()
	i, err := s.svc.Instance(s.ctx, s.op, slug)
	s.must(err)
	var defs []keys.Definition
	for line := range strings.Lines(lines) {
		name, digest, _ := strings.Cut(strings.TrimSpace(line), " ")
		defs = append(defs, keys.Definition{Kind: keys.KindTool, Name: name, Digest: digest, SeenAt: s.clock.now(),
			Raw: json.RawMessage(`{"name":"` + name + `","description":"` + digest[:4] + `"}`)})
	}
	_, err = s.svc.SaveDefinitions(s.ctx, i, defs)
	s.must(err)
}

// in is the site as a subtest sees it.
func (s *site) in(t testing.TB) *site {
	inner := *s
	inner.t = t
	return &inner
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// mint makes a key as the operator.
func (s *site) mint(n keys.NewKey) keys.Issued {
	s.t.Helper()
	if n.Name == "" {
		n.Name = "a key"
	}
	issued, err := s.svc.CreateKey(s.ctx, s.op, n)
	s.must(err)
	return issued
}

func (s *site) epoch() int64 {
	s.t.Helper()
	epoch, err := s.store.Epoch(s.ctx)
	s.must(err)
	return epoch
}

// send sends a request as it is: no header is added.
func (s *site) send(method, path string, header http.Header, body string) (response, error) {
	r, err := http.NewRequestWithContext(s.ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	r.Header = header
	answer, err := client.Do(r)
	if err != nil {
		return response{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	got := response{answer.StatusCode, answer.Header, string(text)}
	if err == nil {
		conform(s.t, method, path, body, got)
	}
	return got, err
}

// client keeps as many connections as the races use, and follows nothing.
var client = &http.Client{
	Timeout:       time.Minute,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// as is the header of a request with a token, and a body where there is one.
func as(token, body string, more ...string) http.Header {
	h := http.Header{}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		h.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(more); i += 2 {
		h.Add(more[i], more[i+1])
	}
	return h
}

// ask sends a request with the first key.
func (s *site) ask(method, path, body string, more ...string) response {
	s.t.Helper()
	r, err := s.send(method, path, as(s.first.Secret.Reveal(), body, more...), body)
	s.must(err)
	return r
}

// object is ask for what must be answered with the status and a JSON object.
func (s *site) object(status int, method, path, body string, more ...string) map[string]any {
	s.t.Helper()
	r := s.ask(method, path, body, more...)
	if r.status != status {
		s.t.Fatalf("%s %s answers %d, want %d: %s", method, path, r.status, status, r.body)
	}
	var out map[string]any
	s.must(json.Unmarshal([]byte(r.body), &out))
	return out
}

// notesOffer is what a site has on offer whose instances have announced nothing.
var notesOffer = keys.NewOffer([]keys.Offered{
	{Kind: "tool", Tool: policy.Tool{ID: "notes/delete_note", Name: "notes__delete_note", Category: "tools", Effect: policy.EffectDestructive,
		InstanceID: "i1", ProjectID: "p1", WriteEnabled: true}},
	{Kind: "tool", Tool: policy.Tool{ID: "notes/read_note", Name: "notes__read_note", Category: "tools", Effect: policy.EffectRead,
		InstanceID: "i1", ProjectID: "p1", WriteEnabled: true}},
	{Kind: "tool", Tool: policy.Tool{ID: "bailiwick/whoami", Name: "whoami", Category: "platform", Effect: policy.EffectRead}},
	{Kind: "prompt", Tool: policy.Tool{ID: "notes/brief", Name: "notes__brief", Category: "tools", Effect: policy.EffectRead,
		InstanceID: "i1", ProjectID: "p1", WriteEnabled: true}},
})
