"""Questions that one posts about what somebody may do: SubjectAccessReview, its local and its own form,
SelfSubjectRulesReview (k8s `pkg/registry/authorization`). Nothing of them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from roadstead.apiserver.actions import Action
from roadstead.auth.attributes import Attributes, on_path
from roadstead.auth.authorizer import Authorizer
from roadstead.auth.identity import Identity
from roadstead.auth.rbac import together
from roadstead.expr.selectors import SelectorError, parse_field_selector, parse_label_selector
from roadstead.kinds.core.checks import requirement as label_requirement
from roadstead.kinds.errors import FieldError, StatusError, bad_request, forbidden, invalid, invalid_object, required
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.views.rbac import PolicyRule

GROUP: Final = "authorization.k8s.io"
OF_A_SUBJECT: Final = Resource(GROUP, "v1", "subjectaccessreviews")
IN_A_NAMESPACE: Final = Resource(GROUP, "v1", "localsubjectaccessreviews")
OF_ONESELF: Final = Resource(GROUP, "v1", "selfsubjectaccessreviews")
RULES: Final = Resource(GROUP, "v1", "selfsubjectrulesreviews")


_WORDS: Final = ("verb", "group", "resource", "subresource", "namespace", "name")


def _action(kind: str) -> Action:
    return Action(kind, (f"{GROUP}/v1",), f"io.k8s.api.authorization.v1.{kind}")


ACTIONS: Final = {
    IN_A_NAMESPACE: _action("LocalSubjectAccessReview"),
    OF_ONESELF: _action("SelfSubjectAccessReview"),
    RULES: _action("SelfSubjectRulesReview"),
    OF_A_SUBJECT: _action("SubjectAccessReview"),
}


def answer(authorizer: Authorizer, resource: Resource, review: Json, namespace: str, who: Identity) -> Json:
    """What `review` says once it is answered, for `who` asked. Raises StatusError 400, 422."""
    spec = review.get("spec") or {}
    if resource == RULES:
        if not spec.get("namespace"):
            raise bad_request("no namespace on request")
        return {"metadata": {}, "spec": {}, "status": _rules(authorizer, who, spec["namespace"])}
    metadata = dict(review["metadata"])
    found: list[FieldError] = []
    _check_spec(spec, found, names_subject=resource != OF_ONESELF)
    if resource == IN_A_NAMESPACE:
        if metadata.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        _check_local(spec, metadata, found)
    elif metadata:
        found.append(invalid("metadata", metadata, "must be empty"))
    if found:
        raise _unusable(found)
    subject = who if resource == OF_ONESELF else _subject(spec)
    asked, problem = _question(spec)
    decision = authorizer.decide(subject, asked)
    status: Json = {"allowed": decision.is_allowed}
    if decision.reason:
        status["reason"] = decision.reason
    if problem:
        status["evaluationError"] = problem
    return {"metadata": metadata, "spec": spec, "status": status}


def _unusable(found: Sequence[FieldError]) -> StatusError:
    """422. The real server forgets which kind it was."""
    error = invalid_object(GROUP, "", "", found)
    error.details.pop("kind", None)
    return error


def _subject(spec: Json) -> Identity:
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return Identity(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", extra)


def _question(spec: Json) -> tuple[Attributes, str]:
    """What is asked, and which of its selectors cannot be read. RBAC does not look at selectors."""
    about = spec.get("resourceAttributes")
    if about is None:
        path = spec["nonResourceAttributes"]
        return on_path(path.get("path") or "", path.get("verb") or ""), ""
    problems = []
    for name, parse in (("fieldSelector", parse_field_selector), ("labelSelector", parse_label_selector)):
        try:
            parse((about.get(name) or {}).get("rawSelector") or "")
        except SelectorError:
            problems.append(f"spec.resourceAttributes.{name} ignored due to parse error")
    verb, group, plural, subresource, namespace, name = (about.get(word) or "" for word in _WORDS)
    return Attributes(verb, group, plural, subresource, namespace, name), "; ".join(problems)


def _rules(authorizer: Authorizer, who: Identity, namespace: str) -> Json:
    rules, problems = authorizer.rules_of(who, namespace)
    status: Json = {
        "resourceRules": [_resource_rule(rule) for rule in rules if rule.resources],
        "nonResourceRules": [
            {"verbs": list(rule.verbs or ()), "nonResourceURLs": list(rule.non_resource_urls)}
            for rule in rules
            if rule.non_resource_urls
        ],
        "incomplete": False,
    }
    if problems:
        status["evaluationError"] = together(problems)
    return status


def _resource_rule(rule: PolicyRule) -> Json:
    written: Json = {"verbs": list(rule.verbs or ())}
    for name, values in (
        ("apiGroups", rule.api_groups),
        ("resources", rule.resources),
        ("resourceNames", rule.resource_names),
    ):
        if values:
            written[name] = list(values)
    return written


# --- what is wrong with a question


def _check_spec(spec: Json, found: list[FieldError], *, names_subject: bool) -> None:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        found.append(invalid("spec.nonResourceAttributes", _path_in_go(path), why))
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        found.append(invalid("spec.resourceAttributes", None, why))
    if names_subject and not spec.get("user") and not spec.get("groups"):
        found.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    here = "spec.resourceAttributes"
    _check_selector((resource or {}).get("fieldSelector"), f"{here}.fieldSelector", found, is_of_labels=False)
    _check_selector((resource or {}).get("labelSelector"), f"{here}.labelSelector", found, is_of_labels=True)


def _check_selector(selector: Json | None, path: str, found: list[FieldError], *, is_of_labels: bool) -> None:
    if selector is None:
        return
    raw, requirements = selector.get("rawSelector"), selector.get("requirements")
    if raw and requirements:
        found.append(invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements"))
    if not raw and not requirements:
        why = f"when {path} is specified, requirements or rawSelector is required"
        found.append(required(f"{path}.requirements", why))
    for index, one in enumerate(requirements or ()):
        _check_requirement(one, f"{path}.requirements[{index}]", found, is_of_labels=is_of_labels)


def _check_requirement(one: Json, path: str, found: list[FieldError], *, is_of_labels: bool) -> None:
    """Operators that nobody knows are let through: newer clients may."""
    if is_of_labels:
        wrong: list[FieldError] = []
        label_requirement(one, path, wrong)
        found += [error for error in wrong if error.field != f"{path}.operator"]
        return
    operator, values = one.get("operator"), one.get("values")
    if operator in ("In", "NotIn") and not values:
        found.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    if operator in ("Exists", "DoesNotExist") and values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        found.append(forbidden(f"{path}.values", why))
    if not one.get("key"):
        found.append(required(f"{path}.key", "must be specified"))


def _check_local(spec: Json, metadata: Json, found: list[FieldError]) -> None:
    if metadata.keys() - {"namespace"}:
        found.append(invalid("metadata", metadata, "must be empty except for namespace"))
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and (resource.get("namespace") or "") != metadata["namespace"]:
        given = resource.get("namespace") or ""
        found.append(invalid("spec.resourceAttributes.namespace", given, "must match metadata.namespace"))
    if path is not None:
        found.append(invalid("spec.nonResourceAttributes", _path_in_go(path), "disallowed on this kind of request"))


def _path_in_go(path: Json) -> dict[str, Any]:
    return {"Path": path.get("path") or "", "Verb": path.get("verb") or ""}
