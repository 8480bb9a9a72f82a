package main

import (
	"database/sql"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

var (
	stateAge        = gauge("state_age_seconds", "Since the state was last confirmed with the store.")
	stateLimit      = gauge("state_max_staleness_seconds", "The age from which on every request is refused.")
	stateFresh      = gauge("state_fresh", "1 while requests are decided, 0 while all are refused.")
	epochApplied    = gauge("epoch_applied", "The last edit that is in force on this server.")
	epochKnown      = gauge("epoch_known", "The last edit that the store was seen to have.")
	epochLag        = gauge("epoch_lag", "Edits that are known of and not in force here yet.")
	heard           = gauge("notifications_heard", "1 while the database notifies of edits, 0 while they are only polled for.")
	replicas        = gauge("replicas", "Servers on the store, this one included, as last seen.")
	lapsed          = counter("replicas_lapsed_total", "Servers that this one found without a sign of life for their lease, and counted out.")
	editWait        = histogram("edit_propagation_seconds", "How long an edit waited, after its commit, for the other servers.")
	unconfirmed     = counter("edit_unconfirmed_replicas_total", "Servers that had not confirmed an edit when it answered: they refuse requests until they have.")
	auditWaiting    = gauge("audit_entries_waiting", "Audit entries in memory that are not written yet.")
	auditLost       = counter("audit_entries_lost_total", "Audit entries that the store refused for good.")
	auditRefused    = counter("audit_refused_requests_total", "Requests that were refused because what they do could not be recorded (audit.full).")
	spoolEntries    = gauge("audit_spool_entries", "Audit entries on disk that wait for the store.")
	spoolBytes      = gauge("audit_spool_bytes", "Their size on disk.")
	spoolLimit      = gauge("audit_spool_limit_bytes", "The size that it may have; 0 = nothing is kept on disk.")
	spoolDamaged    = counter("audit_spool_damaged_total", "Lines on disk that could not be read back; each may have been an entry.")
	auditFlush      = histogram("audit_flush_seconds", "How long a batch of audit entries took to be written.")
	cacheEntries    = gauge("key_cache_entries", "Principals in memory.")
	cacheUnknown    = gauge("key_cache_refused_entries", "Credentials in memory that are known not to count.")
	cacheHits       = counter("key_cache_hits_total", "Authentications that asked the store nothing.")
	cacheMisses     = counter("key_cache_misses_total", "Authentications that had to ask the store.")
	cacheLoads      = counter("key_cache_loads_total", "Readings of the store for an authentication; one is repeated when an edit comes between.")
	stateFamilies   = []describedMetric{stateAge, stateLimit, stateFresh, epochApplied, epochKnown, epochLag, heard, replicas, lapsed, editWait, unconfirmed, auditWaiting, auditLost, auditRefused, spoolEntries, spoolBytes, spoolLimit, spoolDamaged, auditFlush, cacheEntries, cacheUnknown, cacheHits, cacheMisses, cacheLoads}
	decisions       = counter("decisions_total", "Decisions about requests that name one thing, and denials of all that a key asks. The reason is the first rule that failed.", "kind", "decision", "reason")
	callDuration    = histogram("mcp_call_duration_seconds", "How long calls of tools, prompts and resources took that were let through.", "outcome")
	callsUnsampled  = counter("audit_calls_unsampled_total", "Calls with outcome ok that --audit-sample kept out of the audit trail.")
	callsRunning    = gauge("mcp_calls_running", "Calls that are not answered yet.")
	callsHeld       = gauge("mcp_calls_held", "Calls that wait for a person's approval; they are among those running.")
	sessionsOpen    = gauge("mcp_sessions", "Open sessions, of the protocol versions that have them.")
	streamsOpen     = gauge("mcp_streams", "Open streams of notifications.")
	instanceStates  = gauge("instances", "Mounted MCP servers, by the state of their connection.", "state")
	gatewayFamilies = []describedMetric{decisions, callDuration, callsUnsampled, callsRunning, callsHeld, sessionsOpen, streamsOpen, instanceStates}
	poolConnections = gauge("database_connections", "Connections to the database, by pool.", "pool", "state")
	poolWaits       = counter("database_waits_total", "How often a connection had to be waited for.", "pool")
	poolWaited      = counter("database_wait_seconds_total", "How long connections were waited for.", "pool")
	poolFamilies    = []describedMetric{poolConnections, poolWaits, poolWaited}
)

func stateSamples(s keys.Stats) []sample {
	return []sample{
		stateAge.is(s.State.Age.Seconds()), stateLimit.is(s.State.MaxStaleness.Seconds()), stateFresh.is(asNumber(s.State.Fresh)),
		epochApplied.is(float64(s.State.Applied)), epochKnown.is(float64(s.State.Known)), epochLag.is(float64(s.State.Known - s.State.Applied)),
		heard.is(asNumber(s.State.Heard)), replicas.is(float64(s.State.Replicas)), lapsed.is(float64(s.State.Lapsed)),
		editWait.took(s.Edits.Waited), unconfirmed.is(float64(s.Edits.Unconfirmed)),
		auditWaiting.is(float64(s.Audit.Waiting)), auditLost.is(float64(s.Audit.Lost)), auditRefused.is(float64(s.Audit.Refused)),
		spoolEntries.is(float64(s.Audit.Spool.Entries)), spoolBytes.is(float64(s.Audit.Spool.Bytes)),
		spoolLimit.is(float64(s.Audit.Spool.Limit)), spoolDamaged.is(float64(s.Audit.Spool.Damaged)), auditFlush.took(s.Audit.Flushed),
		cacheEntries.is(float64(s.Cache.Entries)), cacheUnknown.is(float64(s.Cache.Unknown)),
		cacheHits.is(float64(s.Cache.Hits)), cacheMisses.is(float64(s.Cache.Misses)), cacheLoads.is(float64(s.Cache.Loads)),
	}
}

func gatewaySamples(s mcp.Stats) []sample {
	out := []sample{callsUnsampled.is(float64(s.Unsampled)), callsRunning.is(float64(s.Running)), callsHeld.is(float64(s.Held)), sessionsOpen.is(float64(s.Sessions)), streamsOpen.is(float64(s.Streams))}
	for _, d := range s.Decisions {
		end, reason := "deny", d.Reason.String()
		if d.Reason == policy.RuleNone {
			end, reason = "allow", ""
		}
		if d.Count > 0 || end == "allow" { // most reasons never come up with most kinds
			out = append(out, decisions.is(float64(d.Count), d.Kind, end, reason))
		}
	}
	for _, c := range s.Calls {
		out = append(out, callDuration.took(c.Took, c.Outcome))
	}
	for state, n := range s.Instances {
		out = append(out, instanceStates.is(float64(n), state))
	}
	return out
}

func poolSamples(pools func() (write, read sql.DBStats)) []sample {
	if pools == nil {
		return nil
	}
	var out []sample
	write, read := pools()
	for name, s := range map[string]sql.DBStats{"write": write, "read": read} {
		out = append(out, poolConnections.is(float64(s.InUse), name, "in_use"), poolConnections.is(float64(s.Idle), name, "idle"),
			poolWaits.is(float64(s.WaitCount), name), poolWaited.is(s.WaitDuration.Seconds(), name))
	}
	return out
}
