package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// defaultTenant is the one that the first start makes.
const defaultTenant = "default"

// applyConfig brings the mounted instances to what a file said; without a file,
// those of an earlier one stay as they are.
func applyConfig(ctx context.Context, svc *keys.Service, path string, servers []wire.Server) error {
	if path == "" {
		return nil
	}
	operator, err := svc.Operator(ctx, defaultTenant)
	if err != nil {
		return err
	}
	specs := make([]keys.InstanceSpec, len(servers))
	for i, s := range servers {
		if specs[i], err = placed(ctx, svc, operator, s); err != nil {
			return fmt.Errorf("%s: server %q: %w", path, s.Name, err)
		}
	}
	if err := svc.ApplyConfig(ctx, operator, specs); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readServers reads a file that must be right as a whole: a misspelt
// writeEnabled must not be read as absent.
func readServers(c *cli, path string) ([]wire.Server, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, withHint(fmt.Errorf("reading the MCP configuration: %w", err), "name the file with the mcpServers, as another client has it")
	}
	file, err := wire.ParseServers(data, keys.SourceConfig, c.env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var faults []error
	if len(file.Ignored) > 0 {
		faults = append(faults, fmt.Errorf("unknown field %s", strings.Join(file.Ignored, ", ")))
	}
	for _, s := range file.Servers {
		if s.Err != nil {
			faults = append(faults, fmt.Errorf("server %q: %w", s.Name, s.Err))
		}
		if len(s.Ignored) > 0 {
			faults = append(faults, fmt.Errorf("server %q: unknown field %s", s.Name, strings.Join(s.Ignored, ", ")))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(faults...))
	}
	return file.Servers, nil
}

// placed gives a server its project, which is made where it is not there yet.
func placed(ctx context.Context, svc *keys.Service, p keys.Principal, s wire.Server) (keys.InstanceSpec, error) {
	if s.Project == "" {
		return s.Spec, nil
	}
	project, err := svc.Project(ctx, p, s.Project)
	if errors.Is(err, keys.ErrNotFound) {
		project, err = svc.CreateProject(ctx, p, keys.NewProject{Slug: s.Project, Name: s.Project})
	}
	s.Spec.ProjectID = keys.Some(project.ID)
	return s.Spec, err
}
