package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"
)

// Config of a Service. Store and Root are required.
type Config struct {
	Store       Store
	Root        RootSecret
	TokenPrefix string           // default "bwk_live_"
	Now         func() time.Time // default time.Now
	Rand        io.Reader        // default crypto/rand.Reader
	// AllowPrivateUpstreams lets every holder of manage:instances use URLs on
	// loopback, link-local and private addresses.
	AllowPrivateUpstreams bool
	PollInterval          time.Duration // of the change feed; default 250 ms
	CacheSize             int           // principals kept; default 20,000
}

// Service is the only way to read and change what the Store holds. Every
// method takes the Principal, decides, and records the change it makes.
//
// Errors: ErrUnauthenticated for nobody, *PermissionError for a right that is
// missing or exceeded, ErrNotFound, *InvalidError, *ConflictError, ErrVersion,
// ErrUnavailable.
type Service struct {
	cfg Config
}

// New makes a Service and checks the root secret against the store's
// fingerprint (another one: ErrWrongSecret). It starts nothing: Run does.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Service{cfg: cfg}, nil
}

// Run follows the change feed, flushes last-used times and call records, until
// ctx ends; then it flushes what is left and answers nil.
func (s *Service) Run(ctx context.Context) error { <-ctx.Done(); return nil }

var errTodo = errors.New("not built yet")

// Bootstrap makes, on an empty store, the tenant "default" with a project
// "default" and the first key, and answers its plaintext; on any other store
// it answers "" and changes nothing. Of several processes at once exactly one
// gets the key.
func (s *Service) Bootstrap(ctx context.Context) (Secret, error) { return "", errTodo }

// Authenticate turns a token into a Principal. Any reason why the token does
// not count is ErrBadCredential; a wrong checksum never reaches the store.
// A paused key, a closed scope or the tenant's switch are not its matter: the
// grant denies them.
func (s *Service) Authenticate(ctx context.Context, token Secret) (Principal, error) {
	return Principal{}, errTodo
}

// Refresh answers the principal as it stands now, with the rights of the
// latest edit known here; ErrBadCredential when its key no longer counts.
func (s *Service) Refresh(ctx context.Context, p Principal) (Principal, error) {
	return Principal{}, errTodo
}

// Operator is the local operator in one tenant (id or slug): who can read the
// store owns it. The command line uses it on the server's own machine.
func (s *Service) Operator(ctx context.Context, tenant string) (Principal, error) {
	return Principal{}, errTodo
}

// Watch calls fn after each batch of changes that this process has applied
// (its own and other processes'), in epoch order, from one goroutine or from
// the editing one before its method returns; fn must not block for long nor
// call methods that edit. The returned function ends it.
func (s *Service) Watch(fn func([]Change)) (stop func()) { return func() {} }
