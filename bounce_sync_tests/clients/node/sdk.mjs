// sfmc-sdk. It takes no address but that of a real tenant, so its own axios is told where that is;
// the addresses of SOAP and REST then come with the token.
import SDK from 'sfmc-sdk';
import {axiosInstance} from 'sfmc-sdk/util';
import {given} from './reading.mjs';

const tenant = 'https://mct0l7nxfq2r988t1kxfy8sc47ma.auth.marketingcloudapis.com/';
axiosInstance.interceptors.request.use(request => {
  request.baseURL = request.baseURL.replace(tenant, given.auth_url);
  return request;
});

export function client(more = {}) {
  return new SDK({
    client_id: given.client_id,
    client_secret: given.client_secret,
    auth_url: tenant,
    account_id: given.account_id,
    ...more,
  });
}
