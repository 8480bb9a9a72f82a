package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// MaxApprovals is how many tools one request can approve.
const MaxApprovals = 256

const (
	maxToolName = 128 // MCP 2025-11-25, server/tools, Tool Names
	digestSize  = 64  // of SHA-256, in hexadecimal
)

// ApproveTools pins tools of an instance, found by id or else by slug, to the
// definitions that it announces now: all of them, or none. Each digest says
// which definition was looked at; one that is no longer announced is a
// *ConflictError. An instance of the configuration file can be approved too:
// the file says where its tools come from, not what they are.
//
// It needs manage:instances and, as it widens what others' keys may call, an
// unrestricted policy.
func (s *Service) ApproveTools(ctx context.Context, p Principal, idOrSlug string, tools []ToolApproval) (i Instance, err error) {
	err = s.edit(ctx, p, operation{"instance.approve", manageInstances}, func(e *edit) error {
		i, err = findInstance(ctx, e, e.who, idOrSlug)
		if err != nil {
			return err
		}
		if err := checkApprovals(tools); err != nil {
			return err
		}
		if err := e.unrestricted("tools"); err != nil {
			return err
		}
		return e.approveTools(ctx, &i, tools)
	})
	return i, err
}

func (e *edit) approveTools(ctx context.Context, i *Instance, tools []ToolApproval) error {
	before, after := map[string]string{}, map[string]string{}
	for n, t := range tools {
		was, err := e.ApproveTool(ctx, i.TenantID, i.ID, t.Name, t.Digest)
		var conflict *ConflictError
		switch {
		case isNotFound(err):
			var f faults
			f.add(approvalField(n, "name"), "the instance announces no tool %q", clip(t.Name))
			return f.err()
		case errors.As(err, &conflict):
			return &ConflictError{Field: approvalField(n, "digest"),
				Problem: fmt.Sprintf("%s is announced with another definition by now: look at it again", clip(t.Name))}
		case err != nil:
			return err
		case was.Pinned != t.Digest:
			before[t.Name], after[t.Name] = was.Pinned, t.Digest
		}
	}
	if len(after) == 0 {
		return nil
	}
	_, err := e.log(ctx, i.ID, fields{"approved": before}, fields{"approved": after})
	return err
}

func approvalField(n int, member string) string { return fmt.Sprintf("tools[%d].%s", n, member) }

func checkApprovals(tools []ToolApproval) error {
	var f faults
	switch {
	case len(tools) == 0:
		f.add("tools", "names no tool")
	case len(tools) > MaxApprovals:
		f.add("tools", "has more than %d entries", MaxApprovals)
		return f.err()
	}
	seen := map[string]bool{}
	for n, t := range tools {
		switch {
		case t.Name == "" || len(t.Name) > maxToolName:
			f.add(approvalField(n, "name"), "must have 1 to %d characters", maxToolName)
		case seen[t.Name]:
			f.add(approvalField(n, "name"), "is there twice")
		}
		seen[t.Name] = true
		if len(t.Digest) != digestSize || strings.Trim(t.Digest, "0123456789abcdef") != "" {
			f.add(approvalField(n, "digest"), "must be the tool's digest as listed: %d of 0-9 and a-f", digestSize)
		}
	}
	return f.err()
}
