#include "nfa/pattern.h"

#include <utility>

namespace tocsin::nfa {
namespace {

std::string number(std::uint64_t n) { return std::to_string(n); }

// Exact, unlike the text for analysts: two patterns that differ must differ here.
std::string exact(Duration d) { return std::to_string(d.us) + "us"; }

const char* sign(Condition::Op op) {
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

std::string to_text(const Condition& c) {
  if (c.op == Condition::Op::opaque) {
    std::string text = "guard" + number(static_cast<std::uint64_t>(c.guard)) + "(";
    for (std::size_t i = 0; i < c.steps.size(); ++i) text += (i == 0 ? "s" : " s") + number(c.steps[i]);
    return text + ")";
  }
  return "v" + number(static_cast<std::uint64_t>(c.mine)) + " " + sign(c.op) + " s" + number(c.step) + "." +
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

std::string to_text(const Pattern& pattern) {
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
