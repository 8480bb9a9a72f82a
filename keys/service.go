package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Config of a Service. Store and Root are required.
type Config struct {
	Store       Store
	Root        RootSecret
	TokenPrefix string           // default "bwk_live_"
	Now         func() time.Time // default time.Now
	Rand        io.Reader        // default crypto/rand.Reader; read by several goroutines
	// AllowPrivateUpstreams lets every holder of manage:instances use URLs on
	// loopback, link-local and private addresses.
	AllowPrivateUpstreams bool
	PollInterval          time.Duration // of the change feed; default 250 ms
	CacheSize             int           // principals kept; default 20,000
	SweepInterval         time.Duration // of forgetting what has expired; default 1 minute

	// AuditRetention is how long audit entries are kept; 0 = for ever. Run looks
	// for older ones at its start and once an hour.
	AuditRetention time.Duration
	// Complain is told what goes wrong beside all requests; nil = nobody is.
	Complain func(error)

	// Decides says that the process decides on requests: it registers as a
	// replica, for which edits wait, and is not fresh (Fresh) when it could not
	// confirm its state for MaxStaleness.
	Decides      bool
	MaxStaleness time.Duration // default 10 s
	ReplicaName  string        // for people

	// NotHeard is called when the store turns out to send no notifications, so
	// that other processes' edits are found by polling alone.
	NotHeard func()

	// Spool keeps audit entries while the Store can't be reached; nil = they wait
	// in memory alone. It is to be closed after Run has returned and the last
	// entry is recorded.
	Spool Spool
}

// Service is the only way to read and change what the Store holds. Every
// method takes the Principal, decides, and records the change it makes.
//
// Errors: ErrUnauthenticated for nobody, ErrBadCredential for a principal whose
// key no longer counts, *PermissionError for a right that is missing or
// exceeded, ErrNotFound, *InvalidError, *ConflictError, ErrVersion, ErrUnavailable;
// where a method says so, *IdempotencyError, *ImportError or *BusyError.
type Service struct {
	cfg     Config
	derived *derived
	ids     *ids
	cache   *cache
	unknown *strangers
	feed    feed
	replica replica
	used    lastUsed
	trail   *trail
	writer  string // of its audit entries
	calls   callCounts
	signer  *AuditSigner

	answering answering
	counters  counters
	imports   atomic.Bool // a key of another system was imported, in any tenant
}

// New makes a Service and checks the root secret against the store's
// fingerprint (another one: ErrWrongSecret). It starts nothing: Run does. One
// that decides is registered by then.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Store == nil {
		return nil, errors.New("keys: a Store is required")
	}
	cfg = cfg.withDefaults()
	if err := checkTokenPrefix(cfg.TokenPrefix); err != nil {
		return nil, err
	}
	derived, err := derive(cfg.Root)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, derived: derived, cache: newCache(cfg.CacheSize), unknown: newStrangers(), trail: newTrail(),
		ids: &ids{now: cfg.Now, rand: cfg.Rand}, calls: callCounts{all: map[CallWindow]*callCount{}},
	}
	s.feed.watchers, s.feed.nudged = map[int]func([]Change){}, make(chan struct{}, 1)
	if s.writer, err = s.ids.next(); err != nil {
		return nil, err
	}
	s.feed.turn = make(chan struct{}, 1)
	s.feed.give()
	if err := s.checkFingerprint(ctx); err != nil {
		return nil, fmt.Errorf("checking the root secret: %w", err)
	}
	if s.signer, err = NewAuditSigner(cfg.Root); err != nil {
		return nil, err
	}
	cfg.Store.SignAudit(s.signer)
	asked := cfg.Now()
	epoch, err := cfg.Store.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.learnImports(ctx); err != nil {
		return nil, err
	}
	if err := s.remember(ctx, epoch); err != nil {
		return nil, err
	}
	s.feed.applied, s.feed.epoch, s.feed.confirmed = epoch, epoch, asked
	if cfg.Decides {
		if err := s.catchUp(ctx); err != nil {
			return nil, fmt.Errorf("registering: %w", err)
		}
	}
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.TokenPrefix == "" {
		c.TokenPrefix = DefaultTokenPrefix
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.PollInterval <= 0 {
		c.PollInterval = 250 * time.Millisecond
	}
	if c.MaxStaleness <= 0 {
		c.MaxStaleness = 10 * time.Second
	}
	if c.SweepInterval <= 0 {
		c.SweepInterval = time.Minute
	}
	if c.CacheSize <= 0 {
		c.CacheSize = 20_000
	}
	return c
}

// Run follows the change feed, flushes last-used times and audit entries, and
// forgets what has expired, until ctx ends; then it flushes what is left. Its error tells what could be
// neither written nor spooled. It is to be called once.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.poll(ctx) })
	wg.Go(func() { s.hear(ctx) })
	wg.Go(func() { every(ctx, touchInterval, func() { _ = s.flushUsed(ctx) }) })
	wg.Go(func() { every(ctx, s.cfg.SweepInterval, func() { _, _ = s.sweep(ctx), s.sweepCalls(ctx) }) })
	wg.Go(func() { s.runTrail(ctx) })
	wg.Go(func() { s.runRetention(ctx) })
	wg.Go(func() { s.runSpool(ctx) })
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	return errors.Join(s.leave(last), s.returnCalls(last), s.flushUsed(last), s.endTrail(last))
}

// Now is the Service's clock, by which keys expire.
func (s *Service) Now() time.Time { return s.cfg.Now() }
