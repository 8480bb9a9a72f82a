package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// standing is how a server stands with its store.
type standing int

const (
	confirmed standing = iota
	aging              // not reached for half of --max-staleness, and for several polls
	stale              // requests are refused
)

func standingOf(s keys.StateStats) standing {
	switch {
	case !s.Fresh:
		return stale
	case s.Age > max(s.MaxStaleness/2, 3*time.Second):
		return aging
	}
	return confirmed
}

// watchState logs that the store is out of reach, and that it is back. Calls of
// known keys are answered meanwhile, so that nothing else may say so.
func (s *server) watchState(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for was := confirmed; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			was = tellState(s.log, was, s.svc.Stats().State)
		}
	}
}

func tellState(log *zap.Logger, was standing, state keys.StateStats) standing {
	is := standingOf(state)
	limit := zap.Stringer("maxStaleness", state.MaxStaleness)
	switch {
	case is == was:
	case is == stale:
		log.Error("the store is not reached: all requests are refused (state.stale) until it is", limit)
	case is == aging && was == confirmed:
		log.Warn("the store is not reached: what is known is served until its age is maxStaleness", limit, zap.Stringer("age", state.Age.Round(time.Second/10)))
	case is == confirmed:
		log.Info("the store is reached again: requests are decided")
	default: // from stale to aging: it is reached, if slowly
		return was
	}
	return is
}
