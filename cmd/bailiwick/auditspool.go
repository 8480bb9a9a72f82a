package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/spool"
)

const (
	spoolFolder       = "audit-spool"
	spoolLimitDefault = 256 // MiB
	watchAuditEvery   = time.Second
)

// openSpool adopts what servers that have ended left of their audit entries in
// the data folder; nil where the limit is 0.
func (f *serveFlags) openSpool(log *zap.Logger) (*spool.Spool, error) {
	folder := filepath.Join(f.data, spoolFolder)
	if f.auditSpoolLimit == 0 {
		return nil, nil
	}
	kind := "sqlite"
	if f.databaseURL != "" {
		kind = "postgres"
	}
	s, foreign, err := spool.Open(spool.Config{Folder: folder, Store: kind, Limit: int64(f.auditSpoolLimit) << 20})
	if err != nil {
		return nil, withHint(fmt.Errorf("opening the audit spool: %w", err), "audit entries wait there to be written: see that "+folder+" can be read and written")
	}
	for _, path := range foreign {
		log.Warn("audit entries on disk are left alone: they are damaged, or of another kind of store", zap.String("file", path))
	}
	if state := s.State(); state.Entries > 0 {
		log.Info("audit entries that an earlier server could not write are on disk, and are written now",
			zap.Int("entries", state.Entries), zap.Int64("bytes", state.Bytes), zap.String("folder", folder))
	}
	return s, nil
}

// watchAudit logs where audit entries are that are not in the store, whenever
// that becomes another place.
func (s *server) watchAudit(ctx context.Context) error {
	var was keys.AuditState
	ticker := time.NewTicker(watchAuditEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			was = s.tellAudit(was)
		}
	}
}

func (s *server) tellAudit(was keys.AuditState) keys.AuditState {
	is := s.svc.AuditState()
	on := []zap.Field{zap.Int("entries", is.Spool.Entries), zap.Int64("bytes", is.Spool.Bytes), zap.Int64("limit", is.Spool.Limit)}
	switch {
	case is.Spool.Entries > 0 && was.Spool.Entries == 0:
		s.log.Warn("audit entries wait on disk until the store takes them", on...)
	case is.Spool.Entries == 0 && was.Spool.Entries > 0:
		s.log.Info("the audit entries on disk are written")
	}
	switch {
	case is.Problem != nil && (was.Problem == nil || is.Problem.Error() != was.Problem.Error()):
		s.log.Error("audit entries can't be kept on disk", append(on, zap.Error(is.Problem))...)
	case is.Problem == nil && was.Problem != nil:
		s.log.Info("audit entries can be kept on disk again", on...)
	}
	switch {
	case is.Refused > was.Refused:
		s.log.Error("requests were refused (audit.full): what they do could not be recorded",
			zap.Int64("refused", is.Refused-was.Refused), zap.Int("waiting", is.Waiting))
	case was.Full && !is.Full:
		s.log.Info("audit entries are taken again")
	}
	if is.Lost > was.Lost {
		s.log.Error("audit entries were lost", zap.Int64("lost", is.Lost-was.Lost))
	}
	if is.Spool.Damaged > was.Spool.Damaged {
		s.log.Error("lines of the audit spool were torn or damaged, each was an entry at most",
			zap.Int64("lines", is.Spool.Damaged-was.Spool.Damaged))
	}
	return is
}

// endAudit says what is left for the next server, and gives it up.
func endAudit(log *zap.Logger, s *spool.Spool) error {
	if s == nil {
		return nil
	}
	if state := s.State(); state.Entries > 0 {
		log.Warn("audit entries wait on disk: the next start of the server writes them",
			zap.Int("entries", state.Entries), zap.Int64("bytes", state.Bytes))
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("closing the audit spool: %w", err)
	}
	return nil
}
