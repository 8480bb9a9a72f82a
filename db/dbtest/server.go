package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"

	"github.com/bailiwick-mcp/bailiwick/db"
)

const (
	urlEnv        = "TEST_POSTGRES_URL"
	containersEnv = "DB_TEST_CONTAINERS"
)

// shared starts the process's one server at the first call.
var shared = sync.OnceValues(start)

func start() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	url, err := find(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{url: url, template: "bailiwick_template_" + unique()}
	if err := s.exec(createStatement(s.template, "")); err != nil {
		return nil, fmt.Errorf("making the template database: %w", err)
	}
	if _, err := db.Migrate(ctx, db.Config{URL: s.database(s.template)}); err != nil {
		return nil, fmt.Errorf("migrating the template database: %w", err)
	}
	return s, nil
}

// find answers the URL of the first server that can be had.
func find(ctx context.Context) (string, error) {
	containers := os.Getenv(containersEnv)
	if containers == "require" {
		return startContainer(ctx)
	}
	if given := os.Getenv(urlEnv); given != "" {
		if u, err := url.Parse(given); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return "", errors.New(urlEnv + " is not a postgres:// URL")
		}
		return given, nil
	}
	var failed []error
	if containers != "off" && daemonLikely() {
		found, err := startContainer(ctx)
		if err == nil {
			return found, nil
		}
		failed = append(failed, err)
	}
	found, err := startCluster(ctx)
	if err == nil {
		return found, nil
	}
	return "", errors.Join(append(failed, err)...)
}
