package rest

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// allKeys: the document has no paging, so the list is complete.
func allKeys(*call) (keys.KeyQuery, error) { return keys.KeyQuery{}, nil }

func newKey(_ *call, body wire.CreateKey) (keys.NewKey, error) { return body.NewKey(source) }

func keyPatch(c *call, body wire.UpdateKey) (editKey, error) {
	version, err := c.ifMatch()
	return editKey{c.id(), body.Patch(version)}, err
}

func rotation(c *call, body wire.RotateKey) (rotateKey, error) {
	grace, err := body.Grace()
	return rotateKey{c.id(), grace}, err
}

func keyList(_ *call, l many[keys.Key]) wire.KeyList { return wire.KeyListOf(l.items, l.total) }

func oneKey(c *call, k keys.Key) wire.Key {
	c.etag(k.Version)
	return wire.KeyOf(k)
}

func issued(c *call, i keys.Issued) wire.Issued {
	c.etag(i.Key.Version)
	return wire.IssuedOf(i)
}
