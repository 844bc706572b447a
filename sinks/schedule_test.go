package sinks

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestScheduleText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Schedule
		from := rapid.Int64Range(0, 1<<50).Draw(t, "from")
		for range rapid.IntRange(0, 20).Draw(t, "stretches") {
			s = append(s, Answered{from, rapid.Int64Range(0, 1<<40).Draw(t, "registry")})
			from += rapid.Int64Range(1, 1<<30).Draw(t, "length")
		}
		got, err := ParseSchedule(s.String())
		if err != nil || !slices.Equal(got, s) {
			t.Fatalf("%v became %q and then %v, %v", s, s.String(), got, err)
		}
	})
}

func FuzzParseSchedule(f *testing.F) {
	f.Add("a:1;5:2")
	f.Add("consumer-1-host")
	f.Add(";:;")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil {
			return
		}
		for i := 1; i < len(s); i++ {
			if s[i].From <= s[i-1].From {
				t.Fatalf("%q is out of order: %v", text, s)
			}
		}
		again, err := ParseSchedule(s.String())
		if err != nil || !slices.Equal(again, s) {
			t.Fatalf("%q became %v and then %v, %v", text, s, again, err)
		}
	})
}
