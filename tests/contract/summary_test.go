package contract

// summary is what became of every case.
type summary struct {
	onReal, onDevcloud map[string]Outcome // by area and case
}

func newSummary() *summary {
	return &summary{onReal: map[string]Outcome{}, onDevcloud: map[string]Outcome{}}
}

func key(area Area, one Case) string { return area.Name + "/" + one.Name }

func (s *summary) real(area Area, one Case, o Outcome)     { s.onReal[key(area, one)] = o }
func (s *summary) devcloud(area Area, one Case, o Outcome) { s.onDevcloud[key(area, one)] = o }
