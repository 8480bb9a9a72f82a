package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// remoteKeys is the keyring of a server, for the key that asks it.
type remoteKeys struct{ server *remote }

var _ keyring = remoteKeys{}

const keysPath = "/api/api-keys"

func keyPath(id string) string { return keysPath + "/" + url.PathEscape(id) }

func (r remoteKeys) Keys(ctx context.Context, q keyQuery) (list wire.KeyList, err error) {
	query := url.Values{}
	if q.search != "" {
		query.Set("search", q.search)
	}
	if q.revoked {
		query.Set("includeRevoked", "true")
	}
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: keysPath, query: query}, &list)
	if list.Keys == nil {
		list.Keys = []wire.Key{}
	}
	return list, r.noTenant(err)
}

// noTenant: a list is always there, so what is absent is the tenant.
func (r remoteKeys) noTenant(err error) error {
	switch {
	case !errors.Is(err, keys.ErrNotFound):
		return err
	case r.server.tenant != "":
		return withHint(fmt.Errorf("tenant %q: %s", r.server.tenant, err), "a key is of one tenant: leave --tenant out, or use a key of that tenant")
	}
	return r.server.notBailiwick(reply{status: http.StatusNotFound})
}

// Find asks by id only for what is one; a handle may look like it too.
func (r remoteKeys) Find(ctx context.Context, idOrHandle string) (k wire.Key, err error) {
	if id, bad := uuid.Parse(idOrHandle); bad == nil && id.String() == idOrHandle {
		k, err = r.get(ctx, idOrHandle)
		if !errors.Is(err, keys.ErrNotFound) {
			return k, err
		}
	}
	if idOrHandle == "" || len(idOrHandle) > 64 {
		return k, keys.ErrNotFound
	}
	list, err := r.Keys(ctx, keyQuery{search: idOrHandle})
	if err != nil {
		return k, err
	}
	for _, one := range list.Keys {
		if one.Handle == idOrHandle {
			return one, nil
		}
	}
	return k, keys.ErrNotFound
}

func (r remoteKeys) get(ctx context.Context, id string) (k wire.Key, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: keyPath(id)}, &k)
	return k, err
}

func (r remoteKeys) Create(ctx context.Context, body wire.CreateKey) (i wire.Issued, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodPost, path: keysPath, once: true}.with(body), &i)
	return i, err
}

func (r remoteKeys) Update(ctx context.Context, id string, body wire.UpdateKey) (k wire.EditedKey, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodPut, path: keyPath(id)}.with(body), &k)
	return k, err
}

func (r remoteKeys) DryRun(ctx context.Context, id string, body wire.UpdateKey, days int) (e wire.Effects, err error) {
	query := url.Values{"dryRun": {"true"}, "days": {strconv.Itoa(days)}}
	err = r.server.do(ctx, apiRequest{method: http.MethodPut, path: keyPath(id), query: query}.with(body), &e)
	return e, err
}

func (r remoteKeys) Rotate(ctx context.Context, id string, body wire.RotateKey) (i wire.Issued, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodPost, path: keyPath(id) + "/rotate", once: true}.with(body), &i)
	return i, err
}

// Revoke reads the key afterwards, for the answer to a DELETE is a sentence.
func (r remoteKeys) Revoke(ctx context.Context, id string, body wire.RevokeKey) (k wire.EditedKey, err error) {
	q := apiRequest{method: http.MethodDelete, path: keyPath(id)}
	if body.Reason.Set {
		q = q.with(body)
	}
	var said wire.Message
	if err := r.server.do(ctx, q, &said); err != nil {
		return k, err
	}
	k.Edited = said.Edited
	k.Key, err = r.get(ctx, id)
	if errors.Is(err, keys.ErrBadCredential) {
		err = errOwnKey
	}
	return k, err
}

// Import finds the answer in a 422 too, where lines are faulty.
func (r remoteKeys) Import(ctx context.Context, lines []byte) (answer wire.EditedImport, err error) {
	got, err := r.server.ask(ctx, apiRequest{method: http.MethodPost, path: keysPath + "/import/bulk", kind: "application/x-ndjson", body: lines})
	if err != nil {
		return answer, err
	}
	if got.status != http.StatusUnprocessableEntity || json.Unmarshal(got.data, &answer) != nil || answer.Faulty() == 0 {
		err = r.server.read(got, &answer)
		return answer, err
	}
	for _, l := range answer.Results {
		if f := l.Error; f != nil {
			f.Detail, f.Errors = r.server.shown(f.Detail), r.server.shownFields(f.Errors)
		}
	}
	return answer, nil
}

func (r remoteKeys) ProjectID(ctx context.Context, idOrSlug string) (string, error) {
	var project wire.Project
	err := r.named(ctx, "/api/projects/", idOrSlug, &project)
	return project.ID, err
}

func (r remoteKeys) InstanceID(ctx context.Context, idOrSlug string) (string, error) {
	var instance wire.Instance
	err := r.named(ctx, "/api/instances/", idOrSlug, &instance)
	return instance.ID, err
}

// named reads a thing by its name in the path. Dots alone would be another path.
func (r remoteKeys) named(ctx context.Context, path, name string, into any) error {
	if name == "" || name == "." || name == ".." {
		return keys.ErrNotFound
	}
	return r.server.do(ctx, apiRequest{method: http.MethodGet, path: path + url.PathEscape(name)}, into)
}
