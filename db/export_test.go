package db

import "github.com/uptrace/bun"

// Overhear lets a hook see every statement.
func (d *DB) Overhear(hook bun.QueryHook) {
	d.write = d.write.WithQueryHook(hook)
	if d.sqlite && d.read.DB == d.write.DB {
		d.read = d.write
		return
	}
	d.read = d.read.WithQueryHook(hook)
}
