package main

import (
	"context"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// keyFlags are the fields of a key that can be written at any time.
type keyFlags struct {
	description           string
	tags, permissions     []string
	readOnly              bool
	preset                string
	allow, deny           []string
	projects, instances   []string
	categories            []string
	allTools, allProjects bool
	allInstances          bool
	allCategories         bool
	arguments             argumentFlags
	limits                limitFlags
}

func (f *keyFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.description, "description", "", "`text` for people")
	flags.StringSliceVar(&f.tags, "tags", nil, "`tags`, separated by commas")
	flags.StringSliceVar(&f.permissions, "permissions", nil, "REST `permissions`: view:<resource>, manage:<resource>, *")
	flags.BoolVar(&f.readOnly, "read-only", true, "only tools that only read; --read-only=false opens others")
	flags.StringVar(&f.preset, "preset", policy.PresetReadOnly, "read_only, standard, full_access, custom, or one of the tenant's")
	patternFlag(flags, &f.allow, "allow", "only tools that match a `pattern`; repeatable, empty = none")
	patternFlag(flags, &f.deny, "deny", "no tools that match a `pattern`; repeatable, not with --allow")
	flags.BoolVar(&f.allTools, "all-tools", false, "no list of patterns (a new key's default)")
	flags.StringSliceVar(&f.projects, "projects", nil, "only these `projects`, by id or slug; empty = none")
	flags.BoolVar(&f.allProjects, "all-projects", false, "every project of the tenant (a new key's default)")
	flags.StringSliceVar(&f.instances, "instances", nil, "only these `instances`, by id or slug; empty = none")
	flags.BoolVar(&f.allInstances, "all-instances", false, "every instance of the tenant (a new key's default)")
	flags.StringSliceVar(&f.categories, "categories", nil, "only tools of these `categories`; empty = none")
	flags.BoolVar(&f.allCategories, "all-categories", false, "no limit to categories beside the preset's (a new key's default)")
	f.arguments.flags(flags)
	f.limits.flags(flags)
}

// exclusive are flags of which one at most may be given.
var exclusive = [][]string{{"allow", "deny", "all-tools"}, {"projects", "all-projects"},
	{"instances", "all-instances"}, {"categories", "all-categories"},
	{"argument-rule", "no-argument-rules"}, {"limit", "no-limits"}}

func checkExclusive(flags *pflag.FlagSet) error {
	for _, names := range exclusive {
		var given []string
		for _, n := range names {
			if flags.Changed(n) {
				given = append(given, "--"+n)
			}
		}
		if len(given) > 1 {
			return &usageError{strings.Join(given, " and ") + " do not go together", "keep one of them"}
		}
	}
	// A deny list without a pattern would open what its writer meant to close.
	if deny := flags.Lookup("deny"); deny.Changed && deny.Value.String() == "" {
		return &usageError{"--deny names no pattern", "name one, or leave the flag out; --all-tools is no list of patterns"}
	}
	return nil
}

// given is a flag's value where it was given.
func given[T any](flags *pflag.FlagSet, name string, value T) keys.Opt[T] {
	if !flags.Changed(name) {
		return keys.Opt[T]{}
	}
	return keys.Some(value)
}

// policy is what the flags say of the key's policy; names become ids.
func (f *keyFlags) policy(ctx context.Context, flags *pflag.FlagSet, ring keyring) (wire.PolicyFields, error) {
	patch := wire.PolicyFields{
		MCPReadOnly: given(flags, "read-only", f.readOnly),
		MCPPreset:   given(flags, "preset", f.preset),
	}
	switch {
	case flags.Changed("allow"):
		patch.MCPAllowlistMode, patch.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some(f.allow)
	case flags.Changed("deny"):
		patch.MCPAllowlistMode, patch.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some(f.deny)
	case f.allTools:
		patch.MCPAllowlistMode = keys.Some(policy.ModeAll)
	}
	var err error
	if patch.MCPArgumentRules, err = f.arguments.given(); err != nil {
		return patch, err
	}
	patch.MCPProjectIDs, err = limitOf(flags, "projects", f.projects, func(name string) (string, error) {
		id, err := ring.ProjectID(ctx, name)
		return id, absent(err, "project", name)
	})
	if err != nil {
		return patch, err
	}
	patch.MCPInstanceIDs, err = limitOf(flags, "instances", f.instances, func(name string) (string, error) {
		id, err := ring.InstanceID(ctx, name)
		return id, absent(err, "instance", name)
	})
	if err != nil {
		return patch, err
	}
	patch.MCPPermissions, err = limitOf(flags, "categories", categories(f.categories), func(name string) (string, error) { return name, nil })
	if err != nil {
		return patch, err
	}
	patch.MCPLimits, err = f.limits.given(flags)
	return patch, err
}

// limitOf is a nullable list: --<name> lists, --all-<name> is null, neither is absent.
func limitOf(flags *pflag.FlagSet, name string, values []string, id func(string) (string, error)) (keys.Opt[policy.Limit], error) {
	if all, _ := flags.GetBool("all-" + name); all {
		return keys.Null[policy.Limit](), nil
	}
	if !flags.Changed(name) {
		return keys.Opt[policy.Limit]{}, nil
	}
	ids := []string{}
	for _, v := range values {
		one, err := id(v)
		if err != nil {
			return keys.Opt[policy.Limit]{}, err
		}
		ids = append(ids, one)
	}
	return keys.Some(policy.Only(ids...)), nil
}
