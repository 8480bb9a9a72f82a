package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (r remoteKeys) Explain(ctx context.Context, q accessQuery) (e wire.Explanation, err error) {
	err = r.asked(ctx, q, &e)
	return e, err
}

func (r remoteKeys) Matrix(ctx context.Context, q accessQuery) (m wire.Matrix, err error) {
	err = r.asked(ctx, q, &m)
	return m, err
}

// asked asks as for a draft, which takes a handle too.
func (r remoteKeys) asked(ctx context.Context, q accessQuery, into any) error {
	err := r.server.do(ctx, apiRequest{method: http.MethodPost, path: "/api/explain"}.with(q.body), into)
	return absentIn(r.noTenant(err), "key", q.body.Key.Value)
}

// Difference finds a handle first, which is no part of a path; for that alone it
// needs view:api-keys too.
func (r remoteKeys) Difference(ctx context.Context, q accessQuery) (d wire.Difference, err error) {
	id := q.body.Key.Value
	if parsed, bad := uuid.Parse(id); bad != nil || parsed.String() != id {
		k, err := r.Find(ctx, id)
		if err != nil {
			return d, absent(err, "key", id)
		}
		id = k.ID
	}
	query := url.Values{}
	for name, value := range map[string]string{"against": q.against, "at": q.body.At.Value, "version": versionText(q.version), "fromVersion": versionText(q.from)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: keyPath(id) + "/explain", query: query}, &d)
	return d, absent(absentIn(err, "against", q.against), "key", q.body.Key.Value)
}

func (r remoteKeys) Decision(ctx context.Context, ref string) (e wire.Explanation, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: "/api/decisions/" + url.PathEscape(ref)}, &e)
	return e, err
}

func versionText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// absentIn reads a fault of the field that names a key as the absence of the key.
func absentIn(err error, field, name string) error {
	var invalid *keys.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != field {
		return err
	}
	return absent(keys.ErrNotFound, "key", name)
}
