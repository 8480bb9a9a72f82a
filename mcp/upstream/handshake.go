package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// era is a generation of the protocol.
type era int

const (
	eraUnknown era = iota
	eraLegacy      // initialize, up to 2025-11-25
	eraModern      // server/discover, from 2026-07-28
)

// errNotModern is an answer to server/discover that no modern server gives.
var errNotModern = errors.New("not a modern server")

// handshake finds out which protocol the upstream speaks. When the answer to
// server/discover takes longer than probe, initialize goes out as well, and the
// first good answer counts: old servers ignore what they do not know, and a
// child that is still being installed answers neither.
func (s *session) handshake(ctx context.Context, known era, probe time.Duration) error {
	if known == eraLegacy {
		h, err := s.initialize(ctx)
		if err != nil {
			return err
		}
		return s.settle(h)
	}
	type outcome struct {
		h    hello
		err  error
		last bool // the question whose failure says more
	}
	answers := make(chan outcome, 2)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ask := func(how func(context.Context) (hello, error), last bool) {
		wg.Go(func() { h, err := how(ctx); answers <- outcome{h, err, last} })
	}
	ask(s.discover, false)
	late := time.NewTimer(probe)
	defer late.Stop()
	var failure error
	for pending, asked := 1, false; pending > 0; {
		select {
		case <-late.C:
		case o := <-answers:
			pending--
			switch {
			case o.err == nil:
				return s.settle(o.h)
			case errors.Is(o.err, errNotModern):
			case !asked:
				return o.err
			case failure == nil || o.last:
				failure = o.err
			}
		}
		if !asked {
			asked, pending = true, pending+1
			ask(s.initialize, true)
		}
	}
	return failure
}

// hello is what a handshake says about the upstream.
type hello struct {
	version string
	modern  bool
	server  string
	offers  capabilities
}

func (s *session) settle(h hello) error {
	s.version, s.modern, s.server, s.offers = h.version, h.modern, h.server, h.offers
	s.asks.Store(!h.modern && s.cfg.Asks)
	s.link.speak(h.version)
	if !h.modern {
		s.link.notify(notification("notifications/initialized", "{}"))
	}
	return nil
}

// implementation is a server's name for itself.
type implementation struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (i implementation) String() string {
	return strings.Trim(printable(i.Name, 80)+"/"+printable(i.Version, 40), "/")
}

// discover asks in the modern way.
func (s *session) discover(ctx context.Context) (hello, error) {
	r := newRequest(s.ids.Add(1), string(mcpgo.MethodServerDiscover), 256, func(b []byte) []byte {
		probe := &session{modern: true, self: s.self}
		return append(probe.appendMeta(append(b, '{'), 0, nil, 0), '}')
	})
	r.modern = true
	f, err := s.link.exchange(ctx, r)
	if err != nil {
		if errors.Is(err, ErrGarbage) {
			err = errNotModern
		}
		return hello{}, step("server/discover", err)
	}
	var d struct {
		Supported    []string     `json:"supportedVersions"`
		Capabilities capabilities `json:"capabilities"`
		Meta         struct {
			Server implementation `json:"io.modelcontextprotocol/serverInfo"`
		} `json:"_meta"`
	}
	if f.err != nil || json.Unmarshal(f.result, &d) != nil ||
		!slices.Contains(d.Supported, mcpgo.ProtocolVersion20260728) {
		return hello{}, errNotModern
	}
	return hello{mcpgo.ProtocolVersion20260728, true, d.Meta.Server.String(), d.Capabilities}, nil
}

// initialize asks in the old way.
func (s *session) initialize(ctx context.Context) (hello, error) {
	r := newRequest(s.ids.Add(1), string(mcpgo.MethodInitialize), 256, func(b []byte) []byte {
		can := `{}`
		if s.cfg.Asks {
			can = declared
		}
		return fmt.Appendf(b, `{"protocolVersion":%q,"capabilities":%s,"clientInfo":%s}`,
			mcpgo.ProtocolVersion20251125, can, s.self)
	})
	f, err := s.link.exchange(ctx, r)
	if err != nil {
		return hello{}, step("initialize", err)
	}
	if f.err != nil {
		return hello{}, step("initialize", f.err)
	}
	var i struct {
		Version      string         `json:"protocolVersion"`
		Capabilities capabilities   `json:"capabilities"`
		Server       implementation `json:"serverInfo"`
	}
	if json.Unmarshal(f.result, &i) != nil {
		return hello{}, fmt.Errorf("initialize: %w", ErrGarbage)
	}
	if !slices.Contains(mcpgo.LegacyProtocolVersions(), i.Version) {
		return hello{}, fmt.Errorf("initialize: %w: protocol version %q is not known", ErrGarbage, printable(i.Version, 40))
	}
	return hello{i.Version, false, i.Server.String(), i.Capabilities}, nil
}
