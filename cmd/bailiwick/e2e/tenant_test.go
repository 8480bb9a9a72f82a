package e2e_test

import "testing"

// tenantThings are ids that belong to another tenant.
type tenantThings struct{ key, project, instance string }

func otherTenant(t *testing.T, s *server) tenantThings {
	t.Helper()
	t.Fatal("not yet")
	return tenantThings{}
}
