#include "nfa/pattern.h"

#include <utility>

namespace tocsin::nfa {
namespace {

std::string number(std::uint64_t n) { return std::to_string(n); }

// Exact, unlike the text for analysts: two patterns that differ must differ here.
std::string exact(Duration d) { return std::to_string(d.us) + "us"; }

std::string to_text(const Condition& c) {
  if (c.op == Condition::Op::opaque) {
    std::string text = "guard" + number(static_cast<std::uint64_t>(c.guard)) + "(";
    for (std::size_t i = 0; i < c.steps.size(); ++i) text += (i == 0 ? "s" : " s") + number(c.steps[i]);
    return text + ")";
  }
  return "v" + number(static_cast<std::uint64_t>(c.mine)) + " " + to_text(c.op) + " s" + number(c.step) + "." +
         number(c.part) + ".v" + number(static_cast<std::uint64_t>(c.theirs));
}

std::string to_text(const Element& e) {
  std::string text =
      "p" + number(static_cast<std::uint64_t>(e.predicate)) + "/p" + number(static_cast<std::uint64_t>(e.stream));
  for (std::size_t i = 0; i < e.conditions.size(); ++i)
    text += (i == 0 ? " where " : " and ") + to_text(e.conditions[i]);
  return text;
}

std::string to_text(const Step& s) {
  std::string text = s.link == Link::first ? "first " : s.link == Link::next ? "next " : "";
  switch (s.kind) {
    case StepKind::single: break;
    case StepKind::group:
      text += s.max == 0       ? "at least " + number(s.min) + " "
              : s.min == s.max ? "exactly " + number(s.min) + " "
                               : number(s.min) + " to " + number(s.max) + " ";
      break;
    case StepKind::all_of: text += "all of "; break;
    case StepKind::any_of: text += "any " + number(s.min) + " of "; break;
  }
  if (s.consecutive) text += "consecutive ";
  if (s.optional) text += "optional ";
  const bool braces = s.kind == StepKind::all_of || s.kind == StepKind::any_of;
  if (braces) text += "{ ";
  for (std::size_t i = 0; i < s.parts.size(); ++i) {
    if (i != 0) text += "; ";
    if (s.parts[i].optional) text += "optional ";
    text += to_text(s.parts[i].element);
    if (s.parts[i].within) text += " within " + exact(*s.parts[i].within);
  }
  if (braces) text += " }";
  if (s.within) text += " within " + exact(*s.within);
  return text;
}

const char* to_text(Pick pick) {
  switch (pick) {
    case Pick::nearest: return "nearest";
    case Pick::earliest: return "earliest";
    case Pick::every: return "every";
  }
  return "?";
}

std::string to_text(AfterMatch after, std::uint32_t step) {
  switch (after) {
    case AfterMatch::restart: return "restart";
    case AfterMatch::continue_: return "continue";
    case AfterMatch::skip_to_next: return "skip to next";
    case AfterMatch::skip_past_last: return "skip past last";
    case AfterMatch::skip_to_first: return "skip to first s" + number(step);
    case AfterMatch::skip_to_last: return "skip to last s" + number(step);
  }
  return "?";
}

/// In the notation of docs/matching.md; what only changes how matches are put out is left to the caller.
std::string to_text(const std::vector<Stage>& stages, const char* between) {
  std::string text;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Stage& s = stages[i];
    if (i != 0 && between != nullptr) {
      text += between;
    } else if (i != 0) {
      switch (s.kind) {
        case StageKind::not_next: text += " !, "; break;
        case StageKind::not_followed_by: text += " !-> "; break;
        case StageKind::take:
        case StageKind::group:
        case StageKind::either:
        case StageKind::any_order:
          text += s.link == Contiguity::strict ? " , " : s.link == Contiguity::relaxed ? " -> " : " ->> ";
          break;
      }
    }
    switch (s.kind) {
      case StageKind::take:
      case StageKind::not_next:
      case StageKind::not_followed_by: text += s.name + "[" + (s.where ? to_text(*s.where) : "any") + "]"; break;
      case StageKind::group: text += "(" + to_text(s.stages, nullptr) + ")"; break;
      case StageKind::either: text += "[" + to_text(s.stages, " | ") + "]"; break;
      case StageKind::any_order:
        text += "{" + (s.least == 0 ? "" : number(s.least) + ": ") + to_text(s.stages, " & ") + "}";
        break;
    }
    if (s.max == 0) {
      text += s.min == 1 ? "+" : "{" + number(s.min) + ",}";
    } else if (s.min != 1 || s.max != 1) {
      text += "{" + number(s.min) + "," + number(s.max) + "}";
    }
    if (s.inner == Contiguity::strict) text += ".strict";
    if (s.inner == Contiguity::any) text += ".any";
    if (s.optional) text += "?";
    if (s.greedy) text += ".greedy";
    if (s.until) text += ".until(" + to_text(*s.until) + ")";
    if (s.gap) text += ".gap(" + exact(*s.gap) + ")";
    if (s.within_previous) text += ".withinPrev(" + exact(*s.within_previous) + ")";
    if (s.within) text += ".within(" + exact(*s.within) + ")";
    if (s.times_window) text += ".timesWindow(" + exact(*s.times_window) + ")";
    if (s.wait) text += ".for(" + exact(*s.wait) + ")";
  }
  return text;
}

const char* skip_name(AfterMatch after) {
  switch (after) {
    case AfterMatch::restart: return "restart";
    case AfterMatch::continue_: return "none";
    case AfterMatch::skip_to_next: return "to_next";
    case AfterMatch::skip_past_last: return "past_last";
    case AfterMatch::skip_to_first: return "to_first";
    case AfterMatch::skip_to_last: return "to_last";
  }
  return "?";
}

}  // namespace

Condition compare(ValueId mine, Condition::Op op, std::uint32_t step, ValueId theirs, std::uint32_t part) {
  Condition c;
  c.op = op;
  c.mine = mine;
  c.step = step;
  c.part = part;
  c.theirs = theirs;
  return c;
}

Condition ask(GuardId guard, std::vector<std::uint32_t> steps) {
  Condition c;
  c.op = Condition::Op::opaque;
  c.guard = guard;
  c.steps = std::move(steps);
  return c;
}

bool comparison_holds(Condition::Op op, Value mine, Value theirs) {
  if (mine == missing_value || theirs == missing_value) return false;
  switch (op) {
    case Condition::Op::equal: return mine == theirs;
    case Condition::Op::not_equal: return mine != theirs;
    case Condition::Op::less: return mine < theirs;
    case Condition::Op::less_equal: return mine <= theirs;
    case Condition::Op::greater: return mine > theirs;
    case Condition::Op::greater_equal: return mine >= theirs;
    case Condition::Op::opaque: break;
  }
  return false;
}

const char* to_text(Condition::Op op) {
  switch (op) {
    case Condition::Op::equal: return "==";
    case Condition::Op::not_equal: return "!=";
    case Condition::Op::less: return "<";
    case Condition::Op::less_equal: return "<=";
    case Condition::Op::greater: return ">";
    case Condition::Op::greater_equal: return ">=";
    case Condition::Op::opaque: return "?";
  }
  return "?";
}

std::string to_text(const Pattern& pattern) {
  if (pattern.semantics == Semantics::derivations) {
    std::string text = "pattern " + to_text(pattern.stages, nullptr);
    if (pattern.within) text += " within " + exact(*pattern.within);
    text += std::string("\n  skip ") + skip_name(pattern.after);
    if (!pattern.after_stage.empty()) text += " " + pattern.after_stage;
    if (pattern.after_must_be_there) text += ", must be there";
    if (!pattern.in_order) text += ", not in order";
    if (pattern.tells_timeouts) text += ", tells timeouts";
    return text + "\n";
  }
  std::string text = "sequence";
  if (pattern.within) text += " within " + exact(*pattern.within);
  text += "\n";
  for (std::size_t i = 0; i <= pattern.steps.size(); ++i) {
    for (const Absence& a : pattern.absences) {
      if (a.before != i) continue;
      text += "     no " + to_text(a.element);
      if (a.wait) text += " for " + exact(*a.wait);
      text += "\n";
    }
    if (i < pattern.steps.size()) text += "  s" + number(i) + " " + to_text(pattern.steps[i]) + "\n";
  }
  if (pattern.until) text += "  until " + to_text(*pattern.until) + "\n";
  text += std::string("  pick ") + to_text(pattern.pick) + ", after match " +
          to_text(pattern.after, pattern.after_step) + "\n";
  return text;
}

}  // namespace tocsin::nfa
