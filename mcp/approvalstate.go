package mcp

// approved marks the upstream's state as that of a call that was approved.
func (s requestState) approved(use *approvalUse, has bool) requestState {
	mark := "-"
	if has {
		mark = "+"
	}
	s.kind, s.round, s.text = stateApproved, uint64(use.uses), use.id+mark+s.text
	return s
}

// cut takes the state of an approved call apart.
func (s requestState) cut() (id, upstream string, has bool) {
	if len(s.text) <= approvalIDLength {
		return "", "", false
	}
	return s.text[:approvalIDLength], s.text[approvalIDLength+1:], s.text[approvalIDLength] == '+'
}

// approvalIDLength is that of a UUID.
const approvalIDLength = 36

// upstream is the upstream's own state; has is false when there is none.
func (s requestState) upstream() (text string, has bool) {
	switch s.kind {
	case stateUpstream:
		return s.text, true
	case stateApproved:
		_, text, has = s.cut()
	}
	return text, has
}
