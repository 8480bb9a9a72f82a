package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Permission is one REST right: view:<resource>, manage:<resource> (which
// includes view), or * (everything in the tenant). The zero Permission is no
// right at all, and nobody holds it.
type Permission struct{ needs permissionSet }

// permissionSet has two bits for each resource, view below manage, and one for
// *. The star is a bit of its own, so that holding every resource of today is
// not mistaken for holding everything.
type permissionSet uint32

const (
	star             permissionSet = 1 << 31
	resourceTenants                = "tenants" // the platform: not in *
	categoryPrefix                 = "mcp:"
	anyCategory                    = categoryPrefix + "*"
	maxCategoryBytes               = 32
)

var resources = [...]string{
	"api-keys", "projects", "instances", "presets", "audit", "approvals", "tenant", resourceTenants,
}

// inStar is what * stands for.
var inStar = func() permissionSet {
	set := star
	for i, r := range resources {
		if r != resourceTenants {
			set |= 3 << (2 * i)
		}
	}
	return set
}()

// KnownPermissions lists every REST permission that may be written.
func KnownPermissions() []string {
	known := []string{"*"}
	for _, r := range resources {
		known = append(known, "view:"+r, "manage:"+r)
	}
	return known
}

// ParsePermission reads a REST permission.
func ParsePermission(s string) (Permission, error) {
	if needs := permissionBits(s); needs != 0 {
		return Permission{needs: needs}, nil
	}
	return Permission{}, fmt.Errorf("unknown permission %q: use *, view:<resource> or manage:<resource>, with one of %s",
		s, strings.Join(resources[:], ", "))
}

// permissionBits are the rights that s gives, which are also those that it
// takes to hold s; 0 when unknown.
func permissionBits(s string) permissionSet {
	if s == "*" {
		return inStar
	}
	verb, resource, ok := strings.Cut(s, ":")
	i := slices.Index(resources[:], resource)
	if !ok || i < 0 {
		return 0
	}
	switch verb {
	case "view":
		return 1 << (2 * i)
	case "manage":
		return 3 << (2 * i)
	}
	return 0
}

func permissionsOf(list []string) permissionSet {
	var set permissionSet
	for _, s := range list {
		set |= permissionBits(s)
	}
	return set
}

// holds tells whether all bits of need are in the set; needing nothing known
// is not held.
func (set permissionSet) holds(need permissionSet) bool { return need != 0 && set&need == need }

// ValidCategory checks the grammar of a category's name: [a-z0-9-]{1,32}.
func ValidCategory(name string) bool {
	if name == "" || len(name) > maxCategoryBytes {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// categoryEntryProblem says what is wrong with an entry of mcpPermissions or
// of a preset's permissions; "" when nothing is.
func categoryEntryProblem(entry string) string {
	name, ok := strings.CutPrefix(entry, categoryPrefix)
	if ok && (entry == anyCategory || ValidCategory(name)) {
		return ""
	}
	return fmt.Sprintf("unknown permission %s: use mcp:* or mcp:<category>, the category of a-z, 0-9 and -, at most 32 characters", quote(entry))
}

// quote shows a value that someone wrote. Of a long one it is the start alone:
// who cuts secrets out of texts can't know one by its first half.
func quote(s string) string {
	if r := []rune(s); len(r) > 64 {
		s = string(r[:10]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
