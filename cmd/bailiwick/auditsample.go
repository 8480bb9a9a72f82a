package main

import (
	"errors"
	"strconv"

	"github.com/spf13/pflag"
	"go.uber.org/zap"
)

// auditSample is the flag of how many calls that go well are recorded. Its zero
// value records each.
type auditSample struct{ skip float64 } // the share that is not, from 0 to 1

var _ pflag.Value = (*auditSample)(nil)

func (s *auditSample) flag(flags *pflag.FlagSet, usage string) { flags.Var(s, "audit-sample", usage) }

// Set reads the share that is recorded, from 0 to 1.
func (s *auditSample) Set(text string) error {
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || !(rate >= 0 && rate <= 1) { // not what says it the other way: NaN
		return errors.New("must be a share from 0 to 1, like 0.25; 1, the default, records each call")
	}
	s.skip = 1 - rate
	return nil
}

func (s *auditSample) String() string { return strconv.FormatFloat(1-s.skip, 'g', 9, 64) }

func (s *auditSample) Type() string { return "share from 0 to 1" }

// tell says in the log that the trail has only some of the calls that went well:
// no entry shows it.
func (s *auditSample) tell(log *zap.Logger) {
	if s.skip > 0 {
		log.Info("of calls that go well, the audit trail has only this share (--audit-sample)", zap.Stringer("share", s))
	}
}
