package guard

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/store"
)

// Config of a Guard. Slug is required.
type Config struct {
	// Slug names the server in policies, the audit trail and explanations:
	// [a-z0-9-]{1,32}, no "--". Programs that are copies of one another share it.
	Slug string
	// Name and Version are told to clients; default the slug, and none.
	Name, Version string

	// Data is the folder of the SQLite file and the root secret, made when it is not
	// there; default ./bailiwick-data, as bailiwick has it. DatabaseURL is a Postgres
	// (postgres://...) in place of SQLite; Migrate brings its schema up to date.
	Data        string
	DatabaseURL string
	Migrate     bool
	// Secret is the root secret, and RootSecretFile a file that holds it, in place of
	// the one in Data; at most one of them.
	Secret         keys.Secret
	RootSecretFile string

	// Tenant (id or slug) whose keys count; default "default". Project (id or slug,
	// made when it is not there) has the instance; default the tenant's only one, or
	// "default".
	Tenant, Project string
	// Tools are words on the tools' categories and effects that come before their
	// annotations. A tool of which nothing says what it does is destructive.
	Tools []keys.ToolRule

	// PublicURL is where clients reach the server; "" = by loopback names only, unless
	// it listens on other addresses. AllowedOrigins are those of web pages that may
	// call it, besides the public URL's own.
	PublicURL      string
	AllowedOrigins []string
	// MaxStaleness is how long the program decides without having reached its store,
	// and how long an edit waits at most for a program that hangs; default 10 s.
	MaxStaleness time.Duration

	// HTTP are options of mcp-go's transport between the gate and the server, for
	// instance WithHTTPContextFunc.
	HTTP []mcpserver.StreamableHTTPOption
	Log  *zap.Logger // nil = none
}

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, c.Slug)
	c.Data = cmp.Or(c.Data, "./bailiwick-data")
	c.Tenant = cmp.Or(c.Tenant, "default")
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

func (c *Config) check(server *mcpserver.MCPServer) error {
	if server == nil {
		return errors.New("guard: a server is required")
	}
	if problem := keys.InstanceSlugProblem(c.Slug); problem != "" {
		return fmt.Errorf("guard: Config.Slug %s", problem)
	}
	return nil
}

func (c *Config) store() store.Config {
	return store.Config{Data: c.Data, DatabaseURL: c.DatabaseURL, Secret: c.Secret, RootSecretFile: c.RootSecretFile,
		Migrate: c.Migrate, Fresh: true}
}

func (c *Config) spec() keys.InstanceSpec {
	spec := keys.InstanceSpec{Slug: keys.Some(c.Slug)}
	if c.Project != "" {
		spec.ProjectID = keys.Some(c.Project)
	}
	if len(c.Tools) > 0 {
		spec.Tools = keys.Some(c.Tools)
	}
	return spec
}
