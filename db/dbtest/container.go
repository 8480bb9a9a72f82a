package dbtest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx" of WithSQLDriver
)

const (
	imageEnv     = "TESTCONTAINERS_PG_IMAGE"
	defaultImage = "postgres:17-alpine"
)

// daemonLikely keeps machines without Docker from waiting for it.
func daemonLikely() bool {
	if os.Getenv("DOCKER_HOST") != "" || os.Getenv("TESTCONTAINERS_HOST_OVERRIDE") != "" {
		return true
	}
	_, err := os.Stat("/var/run/docker.sock")
	return err == nil
}

// startContainer runs Postgres in a container. testcontainers' reaper removes
// it when the process is gone.
func startContainer(ctx context.Context) (url string, err error) {
	defer func() {
		if r := recover(); r != nil { // testcontainers panics on some daemons it can't reach
			err = fmt.Errorf("starting a Postgres container: %v", r)
		}
	}()
	container, err := postgres.Run(ctx, cmp.Or(os.Getenv(imageEnv), defaultImage),
		postgres.WithUsername("bailiwick"), postgres.WithPassword("bailiwick"), postgres.WithDatabase("postgres"),
		postgres.WithSQLDriver("pgx"), postgres.BasicWaitStrategies(),
		testcontainers.WithLogger(log.New(io.Discard, "", 0)))
	if err != nil {
		return "", fmt.Errorf("starting a Postgres container: %w%s", err, lastWords(ctx, container))
	}
	return container.ConnectionString(ctx, "sslmode=disable")
}

// lastWords is the end of the container's log.
func lastWords(ctx context.Context, container *postgres.PostgresContainer) string {
	const most = 2000
	if container == nil {
		return ""
	}
	logs, err := container.Logs(ctx)
	if err != nil {
		return ""
	}
	defer logs.Close()
	text, _ := io.ReadAll(logs)
	return "; its log ends: " + string(text[max(0, len(text)-most):])
}
