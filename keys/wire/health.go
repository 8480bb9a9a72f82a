package wire

// Health is the answer of a probe that went well.
type Health struct {
	Status string `json:"status" doc:"The state that was asked for." enum:"ok,ready" example:"ok"`
}
