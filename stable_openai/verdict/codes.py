"""Codes and types that providers use, as lower-case letters and digits; a trailing `*` makes a prefix.

A number is a code together with its place: `error.code=1302` is zhipu's, `base_resp.status_code=1002` minimax's,
`.error_code=18` baidu's.
"""

from __future__ import annotations

from typing import Final

REGION: Final = (
    "locationnotsupported regionblocked regionnotsupported* unsupportedcountry* unsupportedregion* "
    "userlocationnotsupported"
)
CONTENT_FILTER: Final = (
    "blockedbysafety contentblocked contentfilter* contentmoderation* contentpolicy* dataauditfailed "
    "datainspectionfailed imagecontentpolicy* inputimagesensitive* inputmoderated inputtextsensitive* "
    "invalidprompt moderation* outputtextsensitive* prohibitedcontent requestblocked responsibleaipolicyviolation "
    "riskcontrol* safety sensitivecontent* base_resp.status_code=1026 base_resp.status_code=1027 error.code=1301"
)
UPSTREAM_ANSWER: Final = "badresponsestatuscode channelinvalidkey upstreamerror"
DISABLED: Final = (
    "accessterminated* accountbanned accountdeactivated accountdisabled accountlocked accountsuspended "
    "accountterminated apikeydisabled apikeyrevoked apikeysuspended consumersuspended keydisabled keyrevoked "
    "organizationdeactivated organizationdisabled projectarchived tokendisabled userbanned userdeactivated "
    "error.code=1112"
)
PERMISSION_PLAIN: Final = (
    "accesstokenscopeinsufficient apikeyhttpreferrerblocked apikeyipaddressblocked apikeyserviceblocked "
    "authenticationtypedisabled insufficientpermissions invalidorganization ipnotauthorized "
    "mismatchedorganization mismatchedproject missingscopes servicedisabled"
)
INVALID_KEY_PLAIN: Final = (
    "accesstokentypeunsupported apikeyexpired apikeyinvalid apikeymissing apikeynotfound authenticationfailed "
    "authfailure* consumerinvalid credentialsmissing expiredtoken* incompletesignature* incorrectapikey "
    "invalidaccesskey* invalidaccesstoken invalidapikey invalidapitoken invalidauthentication "
    "invalidauthenticationerror invalidclienttokenid invalidcredentials invalidiamtoken invalidsignature* "
    "invalidsubscriptionkey invalidtoken invalidusertoken missingapikey missingauthenticationtoken* noapikey "
    "signaturedoesnotmatch unrecognizedclient* unrecognizedclientexception wrongapikey .error_code=110 "
    ".error_code=111 base_resp.status_code=1004 base_resp.status_code=2049 error.code=1000 error.code=1001 "
    "error.code=1002 error.code=1003 error.code=1004"
)
CONTEXT_LENGTH: Final = (
    "contextlength* contextlengthexceeded contextwindow* exceedcontextsizeerror inputlengthtoolong "
    "inputtokenlimit* inputtoolong maxcontext* modelcontextwindowexceeded prompttoolong "
    "tokenslimitreached toomanyprompttokens toomanytokens .error_code=336007 .error_code=336103 error.code=1261"
)
MONEY: Final = (
    "accountoverdue* allocationquotafreetieronly arrearage balancenotenough billing* budgetexceeded "
    "creditbalance* creditsexhausted exceededcurrentquotaerror failedoperationfreeresourcepackexhausted "
    "failedoperationresourcepackexhausted insufficientbalance insufficientcredit* insufficientfund* "
    "insufficientquota insufficientuserquota keylimitexceeded lowbalance notenoughbalance notenoughquota "
    "outofcredits overdue* paymentrequired postpaidbillingoverdue preconsumetokenquotafailed "
    "prepaidbillingoverdue quotanotenough setlimitexceeded spendinglimit* spendlimit* tokenquotaexhausted "
    ".code=30001 .error_code=19 base_resp.status_code=1008 error.code=1113"
)
LIMIT_WORDS: Final = "ratelimit* toomanyrequests* .error_code=17 .error_code=18"
SHORT_ALLOWANCE: Final = (
    "limitburstrate limitrequests resourceexhausted rpmratelimit* throttled throttling* tpmratelimit* "
)
ALLOWANCE: Final = (
    "monthlylimit* outofquota quotaexceeded quotaexhausted servicequotaexceeded* "
    "base_resp.status_code=2056 error.code=1309 error.code=1310"
)
WRONG_INTERFACE: Final = "operationnotsupported unsupportedapiforthemodel unsupportedparameter"
MODEL_GONE: Final = "modeldecommissioned modeldeprecated modeldeprecatederror modelremoved modelretired"
MODEL: Final = (
    "accessdeniedmodel* deploymentnotfound invalidendpointormodel* invalidengine* invalidmodel* "
    "keymodelaccessdenied modelaccess* modelaccessdenied modeldisabled modelnotactive* modelnotallowed "
    "modelnotavailable modelnotexist modelnotexist* modelnotfound* modelnotopen modelnotsupported "
    "modelpermissionblocked* modeltermsrequired modelunavailable noaccess nomodel* teammodelaccessdenied "
    "unavailablemodel unknownmodel unsupportedmodel .code=20012 error.code=1211 error.code=1220 error.code=1311"
)
INVALID_KEY: Final = (
    "authenticationerror autherror authorizationerror invalidauth* notauthenticated unauthenticated unauthorized"
)
PERMISSION: Final = (
    ".error_code=6 accessdenied* insufficientscope noprivilege permissiondenied permissiondeniederror permissionerror "
    "unauthorizedoperation*"
)
OVERLOADED: Final = (
    "capacity* capacityexceeded engineoverloaded* insufficientcapacity* modelloading modelnotready* "
    "modeloverloaded nocapacity overloaded* resourceinsufficient serverbusy serveroverload* servicebusy "
    "serviceoverloaded serviceunavailableoverload slowdown toobusy unavailableerror .error_code=336100 "
    "error.code=1305 error.code=1312"
)
RATE_LIMIT: Final = (
    "error1015 ratelimit* requestlimit* requestlimitexceeded* resourceexhausted throttl* toomanyrequests* "
    ".error_code=4 .error_code=17 .error_code=18 .error_code=336501 .error_code=336502 base_resp.status_code=1002 "
    "base_resp.status_code=1039 base_resp.status_code=1041 error.code=1302 error.code=1303 error.code=1304 "
    "error.code=1308"
)
TIMEOUT: Final = "deadlineexceeded gatewaytimeout modeltimeout* requesttimeout timeout* base_resp.status_code=1001"
SERVER_ERROR: Final = (
    "apierror internal internalerror* internalfailure* internalserver* servererror .error_code=336000 "
    "base_resp.status_code=1000 base_resp.status_code=1013 base_resp.status_code=1024 base_resp.status_code=1033 "
    "error.code=1230 error.code=1234"
)
BAD_REQUEST: Final = (
    "badrequest* invalidargument invalidparameter* invalidrequest* invalidvalue jsonvalidatefailed "
    "missingparameter* toolusefailed unprocessable* validation*"
)
NOT_FOUND: Final = "notfound*"
